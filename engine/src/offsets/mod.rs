//! Consumer positions: what MirrorMaker 2 writes about them, and what kmirror knows more exactly.

pub mod records;
