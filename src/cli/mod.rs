//! The command line: the only room that prints, prompts, reads the environment or picks an exit code.

pub mod age_words;
pub mod format;
pub mod log;
pub mod table;
