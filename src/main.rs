//! The program `vault`.

fn main() -> std::process::ExitCode {
    vault::cli::main()
}
