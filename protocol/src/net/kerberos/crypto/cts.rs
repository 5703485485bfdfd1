//! AES in CBC mode with ciphertext stealing, the last two blocks swapped, from an IV of zeros (RFC 3962, 5).

use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use aes::{Aes128, Aes256};

use super::{BLOCK, CryptoError};

type Block = [u8; BLOCK];

/// AES with either length of key.
pub(super) enum Aes {
    Of128(Box<Aes128>),
    Of256(Box<Aes256>),
}

impl Aes {
    /// A key has 16 or 32 bytes.
    pub(super) fn new(key: &[u8]) -> Result<Self, CryptoError> {
        let long = Aes256::new_from_slice(key).map(|aes| Self::Of256(Box::new(aes)));
        long.or_else(|_| Aes128::new_from_slice(key).map(|aes| Self::Of128(Box::new(aes))))
            .map_err(|_| CryptoError::Short)
    }

    pub(super) fn encrypt_block(&self, block: Block) -> Block {
        let mut block = block.into();
        match self {
            Self::Of128(aes) => aes.encrypt_block(&mut block),
            Self::Of256(aes) => aes.encrypt_block(&mut block),
        }
        block.into()
    }

    fn decrypt_block(&self, block: Block) -> Block {
        let mut block = block.into();
        match self {
            Self::Of128(aes) => aes.decrypt_block(&mut block),
            Self::Of256(aes) => aes.decrypt_block(&mut block),
        }
        block.into()
    }

    /// Encrypts at least one block; the result has the length of the plain text.
    pub(super) fn encrypt(&self, plain: &[u8]) -> Vec<u8> {
        let mut previous = [0; BLOCK];
        let mut blocks = Vec::with_capacity(plain.len() / BLOCK + 1);
        for chunk in plain.chunks(BLOCK) {
            previous = self.encrypt_block(xor(padded(chunk), previous));
            blocks.push(previous);
        }
        swap_last(&mut blocks);
        let mut cipher = blocks.concat();
        cipher.truncate(plain.len());
        cipher
    }

    /// Undoes [`Self::encrypt`].
    pub(super) fn decrypt(&self, cipher: &[u8]) -> Result<Vec<u8>, CryptoError> {
        if cipher.len() < BLOCK {
            return Err(CryptoError::Short);
        }
        let mut blocks: Vec<Block> = cipher.chunks(BLOCK).map(padded).collect();
        let last = cipher.len() - (blocks.len() - 1) * BLOCK;
        if let [.., whole, cut] = blocks.as_mut_slice() {
            // What the cut block lacks was stolen from the block before it: it is the end of what that decrypts to.
            let lost = self.decrypt_block(*whole);
            for (byte, stolen) in cut.iter_mut().zip(lost).skip(last) {
                *byte = stolen;
            }
        }
        swap_last(&mut blocks);
        let mut previous = [0; BLOCK];
        let mut plain = Vec::with_capacity(blocks.len() * BLOCK);
        for block in blocks {
            plain.extend(xor(self.decrypt_block(block), previous));
            previous = block;
        }
        plain.truncate(cipher.len());
        Ok(plain)
    }
}

fn swap_last(blocks: &mut [Block]) {
    if let [.., a, b] = blocks {
        std::mem::swap(a, b);
    }
}

fn padded(chunk: &[u8]) -> Block {
    let mut block = [0; BLOCK];
    for (to, from) in block.iter_mut().zip(chunk) {
        *to = *from;
    }
    block
}

fn xor(mut a: Block, b: Block) -> Block {
    for (to, from) in a.iter_mut().zip(b) {
        *to ^= from;
    }
    a
}
