//! The daemon and its tools.

fn main() -> std::process::ExitCode {
    wattkeeper::cli::main()
}
