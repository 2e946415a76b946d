use std::process::ExitCode;

fn main() -> ExitCode {
    dash::cli::main()
}
