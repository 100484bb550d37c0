//! A real Redis for a test, and the few words of its protocol that the tests need.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use super::support::{Process, free_address, poll};

/// A server of its own, with nothing on disk.
pub struct Redis {
    _process: Process,
    pub address: String,
}

impl Redis {
    /// `None` where there is none on this machine, except in CI.
    pub fn start() -> Option<Self> {
        let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin/redis-server");
        let program = if own.exists() { own } else { "redis-server".into() };
        if !Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success()) {
            let why = "no redis-server; install it: tests/setup/install redis";
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}");
            eprintln!("SKIPPED: {why}");
            return None;
        }
        let address: SocketAddr = free_address().parse().unwrap();
        let mut command = Command::new(program);
        command.args([
            "--bind",
            "127.0.0.1",
            "--port",
            &address.port().to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        let process = Process::spawn(command);
        poll("Redis to listen", || TcpStream::connect(address).ok());
        Some(Self { _process: process, address: address.to_string() })
    }

    /// All keys, each with its value and the seconds that it has left.
    pub fn all(&self) -> Vec<(String, u64, i64)> {
        let mut connection = Connection::open(&self.address).unwrap();
        let keys = connection.ask(&[&["KEYS", "*"]]).unwrap().remove(0).texts();
        keys.into_iter()
            .map(|key| {
                let answers = connection.ask(&[&["GET", &key], &["TTL", &key]]).unwrap();
                (key, answers[0].texts()[0].parse().unwrap(), answers[1].number())
            })
            .collect()
    }
}

/// A connection.
pub struct Connection(BufReader<TcpStream>);

/// An answer.
pub enum Answer {
    Number(i64),
    Texts(Vec<String>),
}

impl Answer {
    pub fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::Texts(texts) => panic!("{texts:?}"),
        }
    }

    fn texts(&self) -> Vec<String> {
        match self {
            Self::Number(number) => vec![number.to_string()],
            Self::Texts(texts) => texts.clone(),
        }
    }
}

impl Connection {
    pub fn open(address: &str) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends all commands at once, and reads their answers.
    pub fn ask(&mut self, commands: &[&[&str]]) -> std::io::Result<Vec<Answer>> {
        let mut text = String::new();
        for command in commands {
            text.push_str(&format!("*{}\r\n", command.len()));
            command.iter().for_each(|word| text.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        }
        self.0.get_mut().write_all(text.as_bytes())?;
        commands.iter().map(|_| self.read()).collect()
    }

    /// <https://redis.io/docs/latest/develop/reference/protocol-spec/>
    fn read(&mut self) -> std::io::Result<Answer> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let (kind, rest) = line.trim_end().split_at(1);
        Ok(match kind {
            ":" => Answer::Number(rest.parse().unwrap()),
            "+" => Answer::Texts(vec![rest.to_owned()]),
            "$" => {
                let mut text = vec![0; rest.parse::<usize>().unwrap() + 2];
                self.0.read_exact(&mut text)?;
                text.truncate(text.len() - 2);
                Answer::Texts(vec![String::from_utf8(text).unwrap()])
            }
            "*" => {
                let count = rest.parse::<usize>().unwrap();
                let items: std::io::Result<Vec<Answer>> = (0..count).map(|_| self.read()).collect();
                Answer::Texts(items?.iter().flat_map(Answer::texts).collect())
            }
            _ => panic!("{line}"),
        })
    }
}
