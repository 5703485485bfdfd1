//! The mirroring engine: a validated `Plan` in, mirrored clusters out.
