//! Which requests were made?
//!
//! The request log answers this. It holds one JSON object a line, with the field names of a request
//! file. It does not hold what the pictures show: prompts are never written.
//!
//! ```json
//! {"timestamp":"2026-11-20T16:30:00Z","model_id":"stable-diffusion-v1-5","width":500,
//!  "height":700,"steps":20,"cfg_scale":7.5,"scheduler":"euler","batch_size":1,"clip_skip":0,
//!  "padded_size":[512,704],"warm":true,"seconds":3.1,"seconds_per_step":0.12}
//! ```
//!
//! Fields that have a request's default may be left out of a line, and a reader skips fields that
//! it does not know. A line is appended with one write, so that any number of processes may log to
//! one file on a local file system.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use preheat_io::input;
use serde::{Deserialize, Serialize};

use super::shape::several;
use super::{EvidenceError, Shape, told};
use crate::pipeline::TextToImage;

/// The longest line that is read. The rest of a longer one is skipped without being kept in memory.
const MOST_LINE_BYTES: u64 = 1_000_000;

/// How many damaged lines are kept; further ones are only counted.
const MOST_DAMAGED: usize = 100;

/// One request of a log, without its prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoggedRequest {
    /// When the request was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    /// The model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// The model's folder, in logs that other programs write. If there is no `model_id`, the last
    /// part of this path is the model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// The width in pixels that the request has; `None` for the model's own width.
    pub width: Option<u64>,
    /// The height in pixels that the request has; `None` for the model's own height.
    pub height: Option<u64>,
    /// Denoising steps.
    #[serde(alias = "num_inference_steps")]
    pub steps: u64,
    /// The guidance scale; a request with a scale of 1 or less is unguided.
    #[serde(alias = "guidance_scale")]
    pub cfg_scale: f64,
    /// The scheduler, `None` for the model's own. It shapes no graph.
    pub scheduler: Option<String>,
    /// How many pictures were made at once.
    #[serde(alias = "batch", alias = "num_images_per_prompt")]
    pub batch_size: u64,
    /// How many of the last layers of the text encoder were left out.
    pub clip_skip: u64,
    /// Whether there was a negative prompt. With guidance, and if layers are left out, a negative
    /// prompt can need graphs of its own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_negative_prompt: bool,
    /// How many chunks of tokens the denoiser read of each prompt; absent for one.
    #[serde(skip_serializing_if = "is_one")]
    pub prompt_chunks: u64,
    /// Whether the run began with a picture; absent if not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub image_to_image: bool,
    /// The size that was computed, `[width, height]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub padded_size: Option<[u64; 2]>,
    /// Whether nothing had to be compiled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm: Option<bool>,
    /// Seconds until the pictures were made; absent if none were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Seconds of a denoising step, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_per_step: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_one(number: &u64) -> bool {
    *number == 1
}

impl Default for LoggedRequest {
    fn default() -> Self {
        Self::of(&TextToImage::default())
    }
}

impl LoggedRequest {
    /// The fields that are known before the request has run. Prompts are left out.
    pub fn of(request: &TextToImage) -> Self {
        Self {
            timestamp: None,
            model_id: None,
            model: None,
            width: request.width,
            height: request.height,
            steps: request.steps_taken(),
            cfg_scale: request.cfg_scale,
            scheduler: request.scheduler.clone(),
            batch_size: request.batch_size,
            clip_skip: request.clip_skip,
            has_negative_prompt: request.negative_prompt.is_some(),
            prompt_chunks: Shape::prompt_chunks_of(request),
            image_to_image: request.begins_with_a_picture(),
            padded_size: None,
            warm: None,
            seconds: None,
            seconds_per_step: None,
        }
    }

    /// A request that needs the same graphs.
    pub fn to_request(&self) -> TextToImage {
        TextToImage {
            width: self.width,
            height: self.height,
            steps: self.steps,
            cfg_scale: self.cfg_scale,
            batch_size: self.batch_size,
            clip_skip: self.clip_skip,
            // The words of the negative prompt shape no graph; whether there is one may shape one.
            negative_prompt: self.has_negative_prompt.then(|| Shape::ANY_PROMPT.to_owned()),
            prompt_chunks: several(self.prompt_chunks),
            image_to_image: self.image_to_image,
            ..TextToImage::default()
        }
    }

    /// The name of the model, if the line has one.
    pub fn model_name(&self) -> Option<&str> {
        let folder =
            || self.model.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        self.model_id.as_deref().or_else(folder)
    }

    /// Reads one line.
    fn parse(line: &[u8]) -> Result<Self, String> {
        if !line.starts_with(b"{") {
            // serde would read a list as the fields in their order.
            return Err("it is no JSON object".to_owned());
        }
        // The parser's message quotes the value, so it is made printable.
        let request: Self =
            serde_json::from_slice(line).map_err(|error| told(&error.to_string()))?;
        // The size given here is used only if the line has none, and any valid size will do.
        request.to_request().check([64, 64]).map_err(|error| error.to_string())?;
        Ok(request)
    }
}

/// A line of a log that is not a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DamagedLine {
    /// The line's number, counted from 1.
    pub line: usize,
    /// Why it is not a request.
    pub why: String,
}

/// A log that was read. Damaged lines are left out and reported, so that the other lines can be
/// used even if a crash left an incomplete line.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct RequestLog {
    /// The requests, each with its line number.
    pub requests: Vec<(usize, LoggedRequest)>,
    /// The first hundred damaged lines.
    pub damaged: Vec<DamagedLine>,
    /// How many more damaged lines there are.
    pub more_damaged: usize,
}

impl RequestLog {
    /// Reads a log.
    ///
    /// # Errors
    /// If the file cannot be read, or none of its lines is a request.
    pub fn read(path: &Path) -> Result<Self, EvidenceError> {
        let failed = |cause| EvidenceError::File {
            doing: "reading the request log",
            path: path.to_owned(),
            cause,
        };
        let log =
            Self::read_lines(BufReader::new(input::open(path).map_err(failed)?)).map_err(failed)?;
        match (log.requests.is_empty(), log.damaged.first()) {
            (false, _) => Ok(log),
            (_, None) => Err(EvidenceError::EmptyLog { path: path.to_owned() }),
            (_, Some(DamagedLine { line, why })) => Err(EvidenceError::NoLog {
                path: path.to_owned(),
                lines: log.damaged.len() + log.more_damaged,
                line: *line,
                why: why.clone(),
            }),
        }
    }

    fn read_lines(mut reader: impl BufRead) -> io::Result<Self> {
        let mut log = Self::default();
        let mut text = Vec::new();
        for line in 1.. {
            text.clear();
            if reader.by_ref().take(MOST_LINE_BYTES + 1).read_until(b'\n', &mut text)? == 0 {
                break;
            }
            if text.len() as u64 > MOST_LINE_BYTES && !text.ends_with(b"\n") {
                reader.skip_until(b'\n')?;
                log.add_damaged(line, "it is longer than 1 MB".to_owned());
                continue;
            }
            let trimmed = text.trim_ascii();
            if trimmed.is_empty() {
                continue;
            }
            match LoggedRequest::parse(trimmed) {
                Ok(request) => log.requests.push((line, request)),
                Err(why) => log.add_damaged(line, why),
            }
        }
        Ok(log)
    }

    fn add_damaged(&mut self, line: usize, why: String) {
        if self.damaged.len() < MOST_DAMAGED {
            self.damaged.push(DamagedLine { line, why });
        } else {
            self.more_damaged += 1;
        }
    }
}

/// A log to which any number of processes can append requests at once.
#[derive(Debug)]
pub struct LogWriter {
    file: File,
    path: PathBuf,
}

impl LogWriter {
    /// Opens a log, and creates the file if there is none.
    ///
    /// # Errors
    /// If the file cannot be opened for writing.
    pub fn open(path: &Path) -> Result<Self, EvidenceError> {
        let opened = File::options().read(true).append(true).create(true).open(path);
        let file = opened.map_err(|cause| Self::failed(path, cause))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Appends a request.
    ///
    /// # Errors
    /// If the line cannot be written completely.
    pub fn append(&mut self, request: &LoggedRequest) -> Result<(), EvidenceError> {
        self.write(request).map_err(|cause| Self::failed(&self.path, cause))
    }

    fn write(&mut self, request: &LoggedRequest) -> io::Result<()> {
        // If a crash or a full disk left an incomplete last line, that line is ended first, so that
        // it does not spoil the new one. If another process has just ended it too, the result is an
        // empty line, which readers skip.
        let mut text = if self.ends_in_a_line()? { Vec::new() } else { vec![b'\n'] };
        serde_json::to_writer(&mut text, request)?;
        text.push(b'\n');
        // A single write: the operating system appends it as a whole, between the lines of others.
        let written = self.file.write(&text)?;
        if written == text.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    fn ends_in_a_line(&mut self) -> io::Result<bool> {
        // A pipe, or anything else that is not a regular file, has no last byte to read.
        if !self.file.metadata()?.is_file() || self.file.seek(SeekFrom::End(0))? == 0 {
            return Ok(true);
        }
        let mut last = [0];
        self.file.seek(SeekFrom::End(-1))?;
        self.file.read_exact(&mut last)?;
        Ok(last == *b"\n")
    }

    fn failed(path: &Path, cause: io::Error) -> EvidenceError {
        EvidenceError::File { doing: "writing the request log", path: path.to_owned(), cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(width: u64) -> LoggedRequest {
        let mut request = TextToImage::new("a secret");
        (request.width, request.height, request.negative_prompt) =
            (Some(width), Some(64), Some("another".to_owned()));
        LoggedRequest { timestamp: Some(Timestamp::UNIX_EPOCH), ..LoggedRequest::of(&request) }
    }

    fn read(text: &[u8]) -> RequestLog {
        RequestLog::read_lines(text).unwrap()
    }

    #[test]
    fn a_line_reads_back_and_no_prompt_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let logged =
            [request(64), LoggedRequest { seconds: Some(1.5), warm: Some(true), ..request(128) }];
        for request in &logged {
            LogWriter::open(&path).unwrap().append(request).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains("secret")
                && !text.contains("another")
                && text.contains("1970-01-01T00:00:00Z"),
            "{text}"
        );
        let log = RequestLog::read(&path).unwrap();
        assert_eq!(
            (log.requests, log.damaged),
            (vec![(1, logged[0].clone()), (2, logged[1].clone())], vec![])
        );
        assert!(
            logged[0].to_request().negative_prompt.is_some(),
            "that there was a negative prompt is kept"
        );
    }

    #[test]
    fn the_names_of_a_request_file_are_read_and_what_is_unknown_is_skipped() {
        let line =
            br#"{"model":"/models/sd15","prompt":"p","width":640,"height":64,"guidance_scale":1,"batch":2,"user":[1]}"#;
        let log = read(line);
        let (_, request) = &log.requests[0];
        assert_eq!(
            (request.model_name(), request.width, request.batch_size),
            (Some("sd15"), Some(640), 2)
        );
        assert!((request.cfg_scale - 1.0).abs() < f64::EPSILON);
        assert_eq!(read(b"{}").requests[0].1, LoggedRequest::default());
        let of_two = &read(b"{\"prompt_chunks\":2}").requests[0].1;
        assert_eq!((of_two.prompt_chunks, of_two.to_request().prompt_chunks), (2, Some(2)));
        assert_eq!(LoggedRequest::default().to_request().prompt_chunks, None);
        let begun = TextToImage { image: Some("a.png".into()), ..TextToImage::new("secret") };
        let logged = LoggedRequest::of(&begun);
        assert!(logged.image_to_image && logged.to_request().image_to_image);
        let line = serde_json::to_string(&logged).unwrap();
        assert!(!line.contains("a.png"), "{line}");
        assert_eq!(read(b"{\"prompt_chunks\":0}").damaged.len(), 1);
    }

    #[test]
    fn damaged_lines_are_told_by_number_and_cost_no_other() {
        let log =
            read(b"{\"width\":64,\"height\":64}\n\n{\"width\":6\n[1,2]\n{\"width\":0}\n\xff\n{\"steps\":3}\n{\"ste");
        let lines: Vec<usize> = log.requests.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 7]);
        let damaged: Vec<(usize, &str)> =
            log.damaged.iter().map(|one| (one.line, one.why.as_str())).collect();
        assert_eq!(damaged.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4, 5, 6, 8]);
        assert!(damaged[0].1.contains("EOF"), "{damaged:?}");
        assert_eq!(damaged[1].1, "it is no JSON object");
        assert_eq!(damaged[2].1, "width is 0: a picture is at least 8 px each way");
    }

    #[test]
    fn what_is_no_log_takes_no_memory() {
        let line_of = |bytes: usize| {
            let line = format!("{{\"user\":\"{}\"}}", "x".repeat(bytes - 11));
            assert_eq!(line.len(), bytes);
            line
        };
        // The longest line that is read, and one that is a byte longer; the newline does not count.
        let log = read(
            format!("{}\n{}\n{{}}\n{}", line_of(1_000_000), line_of(3_000_000), line_of(1_000_001))
                .as_bytes(),
        );
        assert_eq!(log.requests.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 3]);
        let damaged: Vec<(usize, &str)> =
            log.damaged.iter().map(|one| (one.line, one.why.as_str())).collect();
        assert_eq!(damaged, [(2, "it is longer than 1 MB"), (4, "it is longer than 1 MB")]);
        let log = read("nothing\n".repeat(250).as_bytes());
        assert_eq!((log.damaged.len(), log.damaged[99].line, log.more_damaged), (100, 100, 150));
        // A message that quotes a value neither grows with it nor moves a terminal's cursor.
        let why = &read(format!("{{\"width\":\"\\u001b[2J{}\"}}", "x".repeat(900_000)).as_bytes())
            .damaged[0]
            .why;
        assert!(why.len() < 300 && !why.contains('\u{1b}') && why.contains("[2Jxxx"), "{why}");
    }

    #[test]
    fn what_a_crash_left_half_written_spoils_no_later_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        std::fs::write(&path, "{\"width\":64,\"hei").unwrap();
        for _ in 0..2 {
            LogWriter::open(&path).unwrap().append(&request(64)).unwrap();
        }
        let log = RequestLog::read(&path).unwrap();
        assert_eq!((log.requests.len(), log.damaged.len(), log.damaged[0].line), (2, 1, 1));
    }
}
