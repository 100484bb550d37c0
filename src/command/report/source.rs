//! Where lines come from: files, plain or gzip, and standard input, in pieces of whole lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use memchr::memrchr;

/// A log that is being read.
pub struct Source {
    name: PathBuf,
    reader: Box<dyn Read + Send>,
    /// The beginning of a line whose end has not been read.
    rest: Vec<u8>,
    is_over: bool,
}

/// The longest line, in bytes: what is longer is none of the gateway's.
pub const LONGEST: usize = 1 << 20;

impl Source {
    /// Opens a log; `-` is standard input.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("{}: cannot be read: {error}", path.display());
        let plain: Box<dyn Read + Send> = match path.as_os_str() == "-" {
            true => Box::new(io::stdin()),
            false => Box::new(File::open(path).map_err(failed)?),
        };
        let mut plain = BufReader::with_capacity(256 << 10, plain);
        // RFC 1952, section 2.3.1. Fewer than two bytes are no line either way.
        let is_gzip = plain.fill_buf().map_err(failed)?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read + Send> = if is_gzip { Box::new(MultiGzDecoder::new(plain)) } else { Box::new(plain) };
        Ok(Self { name: path.to_owned(), reader, rest: Vec::new(), is_over: false })
    }

    /// Reads about `size` bytes of whole lines into `piece`, in place of what is there; whether there were any. A last line may lack
    /// its end. Of a line that is too long its beginning comes as a line, and no more of it.
    ///
    /// # Errors
    /// The log cannot be read any further.
    pub fn next(&mut self, piece: &mut Vec<u8>, size: usize) -> Result<bool, String> {
        piece.clear();
        piece.append(&mut self.rest);
        while !self.is_over {
            let wanted = size.saturating_sub(piece.len()).max(size / 2).max(1) as u64;
            let read = self.reader.by_ref().take(wanted).read_to_end(piece);
            let read = read.map_err(|error| format!("{}: cannot be read: {error}", self.name.display()))?;
            self.is_over = (read as u64) < wanted;
            if self.is_over {
                break;
            }
            if let Some(end) = memrchr(b'\n', piece) {
                self.rest.extend_from_slice(piece.get(end + 1..).unwrap_or_default());
                piece.truncate(end + 1);
                return Ok(true);
            }
            if piece.len() > LONGEST {
                piece.truncate(LONGEST);
                self.skip_line()?;
                return Ok(true);
            }
        }
        Ok(!piece.is_empty())
    }

    /// Passes over what is left of a line.
    fn skip_line(&mut self) -> Result<(), String> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = self.reader.read(&mut buffer);
            let read = read.map_err(|error| format!("{}: cannot be read: {error}", self.name.display()))?;
            let bytes = buffer.get(..read).unwrap_or_default();
            self.is_over = read == 0;
            if let Some(end) = memchr::memchr(b'\n', bytes) {
                self.rest.extend_from_slice(bytes.get(end + 1..).unwrap_or_default());
                return Ok(());
            }
            if self.is_over {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Source};

    fn source(bytes: Vec<u8>) -> Source {
        Source { name: "test".into(), reader: Box::new(std::io::Cursor::new(bytes)), rest: Vec::new(), is_over: false }
    }

    #[test]
    fn every_line_comes_once_and_whole() {
        let lines: Vec<String> =
            (0..500_usize).map(|number| "x".repeat(number * 7 % 60) + &number.to_string()).collect();
        for end in ["", "\n"] {
            let text = lines.join("\n") + end;
            for size in [1, 2, 3, 10, 64, 1000, 1 << 20] {
                let (mut source, mut piece, mut found) = (source(text.clone().into()), Vec::new(), Vec::new());
                while source.next(&mut piece, size).unwrap() {
                    let piece = std::str::from_utf8(&piece).unwrap();
                    found.extend(piece.lines().map(str::to_owned));
                }
                assert!(found == lines, "{size}");
            }
        }
        assert!(!source(Vec::new()).next(&mut Vec::new(), 10).unwrap());
    }

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_the_longest() {
        let long = "y".repeat(5 * LONGEST);
        let text = format!("first\n{long}\nlast\n");
        let (mut source, mut piece, mut found) = (source(text.into()), Vec::new(), Vec::new());
        while source.next(&mut piece, 1000).unwrap() {
            assert!(piece.len() <= LONGEST + 1000, "{}", piece.len());
            found.extend(std::str::from_utf8(&piece).unwrap().lines().map(str::len));
        }
        assert_eq!(found, [5, LONGEST, 4]);
    }
}
