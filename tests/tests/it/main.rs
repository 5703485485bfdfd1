//! The integration tests, in one binary. Each file says what it proves; `TESTING.md` lists them all.

mod harness;
mod tidy;
