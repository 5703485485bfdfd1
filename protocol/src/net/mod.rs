//! Sockets, frames and connections: everything below one request and one response.
