//! The rooms of the code and the arrows between them, read from the imports.
