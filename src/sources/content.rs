//! The uncompressed content of one file, read forwards, and the proofs of what it is.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};

/// Most bytes that one of a fingerprint's two hashes covers.
pub const PROOF_BYTES: usize = 4096;

/// An open file. Whether it is compressed is told by its first bytes, not by its name.
#[derive(Debug)]
pub struct Content {
    stream: Stream,
    /// Bytes of content before the place that is read next.
    position: u64,
    /// What stopped the last read after some bytes that are good.
    failure: Option<io::Error>,
}

#[derive(Debug)]
enum Stream {
    Plain(File),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
    Zstd(Box<Zstd>),
}

struct Zstd(zstd::Decoder<'static, BufReader<File>>);

impl std::fmt::Debug for Zstd {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Zstd")
    }
}

impl Content {
    pub fn open(path: &Path) -> io::Result<Content> {
        Content::of(File::open(path)?)
    }

    fn of(mut file: File) -> io::Result<Content> {
        let mut magic = [0; 4];
        file.rewind()?;
        let got = file.read(&mut magic)?;
        file.rewind()?;
        let stream = match &magic[..got] {
            [0x1f, 0x8b, ..] => Stream::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(file)))),
            [0x28, 0xb5, 0x2f, 0xfd] => Stream::Zstd(Box::new(Zstd(zstd::Decoder::new(file)?))),
            _ => Stream::Plain(file),
        };
        Ok(Content { stream, position: 0, failure: None })
    }

    pub fn compressed(&self) -> bool {
        !matches!(self.stream, Stream::Plain(_))
    }

    fn file(&self) -> &File {
        match &self.stream {
            Stream::Plain(file) => file,
            Stream::Gzip(decoder) => decoder.get_ref().get_ref(),
            Stream::Zstd(decoder) => decoder.0.get_ref().get_ref(),
        }
    }

    pub fn metadata(&self) -> io::Result<std::fs::Metadata> {
        self.file().metadata()
    }

    /// Bytes of the file itself that were read so far.
    pub fn disk_position(&self) -> u64 {
        self.file().stream_position().unwrap_or(0)
    }

    /// Whether the file still begins with these bytes: a plain one can be truncated and written anew.
    pub fn begins_with(&mut self, bytes: &[u8]) -> bool {
        let Stream::Plain(file) = &mut self.stream else { return true };
        let mut first_bytes = vec![0; bytes.len()];
        let same =
            file.rewind().and_then(|()| file.read_exact(&mut first_bytes)).is_ok() && first_bytes == bytes;
        file.seek(SeekFrom::Start(self.position)).is_ok() && same
    }

    /// Back to the beginning.
    pub fn rewind(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(file) => {
                file.rewind()?;
                self.position = 0;
            }
            // Not by its path, which another file may have by now.
            Stream::Gzip(_) | Stream::Zstd(_) => *self = Content::of(self.file().try_clone()?)?,
        }
        Ok(())
    }

    /// Moves from the beginning to `to`, and returns the last bytes before it, at most [`PROOF_BYTES`].
    /// Where the content ends or is damaged before, it stops there.
    pub fn advance(&mut self, mut to: u64) -> io::Result<Tail> {
        let mut tail = Tail::default();
        if let Stream::Plain(file) = &mut self.stream {
            to = to.min(file.metadata()?.len());
            self.position = to.saturating_sub(PROOF_BYTES as u64);
            file.seek(SeekFrom::Start(self.position))?;
        }
        let mut piece = vec![0; usize::try_from(to - self.position).unwrap_or(usize::MAX).min(64 * 1024)];
        while self.position < to {
            let want = usize::try_from(to - self.position).unwrap_or(usize::MAX).min(piece.len());
            let got = self.read(&mut piece[..want])?;
            tail.push(&piece[..got]);
            if got < want {
                break;
            }
        }
        Ok(tail)
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    /// Reads until the buffer is full or the content ends. What is read before some damage still counts; the
    /// next read then reports the damage.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut got = 0;
        while got < buffer.len() && self.failure.is_none() {
            match self.read_some(&mut buffer[got..]) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.failure = Some(error),
            }
        }
        self.position += got as u64;
        match self.failure.take_if(|_| got == 0) {
            Some(error) => Err(error),
            None => Ok(got),
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(file) => file.read(buffer),
            Stream::Gzip(decoder) => decoder.read(buffer),
            Stream::Zstd(decoder) => decoder.0.read(buffer),
        }
    }
}

/// The last bytes that went by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    pub bytes: Vec<u8>,
}

impl Tail {
    pub fn push(&mut self, piece: &[u8]) {
        let piece = &piece[piece.len().saturating_sub(PROOF_BYTES)..];
        let keep = PROOF_BYTES - piece.len();
        self.bytes.drain(..self.bytes.len().saturating_sub(keep));
        self.bytes.extend_from_slice(piece);
    }
}

/// SHA-256 in hexadecimal digits, the first 128 bits: as much as a ledger needs to tell logs apart.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_content_is_read_again_from_its_own_file() {
        use std::io::Write;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("app.log.1.gz");
        let write = |text: &str| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).expect("in memory");
            std::fs::write(&path, encoder.finish().expect("in memory")).expect("the folder is writable");
        };
        write("first");
        let mut content = Content::open(&path).expect("it is there");
        std::fs::rename(&path, folder.path().join("app.log.2.gz")).expect("it is there");
        write("other");
        for _ in 0..2 {
            let mut found = [0; 5];
            content.read(&mut found).expect("it is whole");
            assert_eq!(&found, b"first");
            content.rewind().expect("it is open");
        }
    }

    proptest! {
        #[test]
        fn the_tail_is_the_end_of_all_pieces(pieces in prop::collection::vec(0usize..5000, 0..6)) {
            let (mut tail, mut all) = (Tail::default(), Vec::new());
            for (at, len) in pieces.into_iter().enumerate() {
                let piece = vec![at as u8; len];
                tail.push(&piece);
                all.extend(piece);
            }
            prop_assert_eq!(&tail.bytes[..], &all[all.len().saturating_sub(PROOF_BYTES)..]);
        }
    }
}
