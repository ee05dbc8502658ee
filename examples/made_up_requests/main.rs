//! How can `preheat audit` and `preheat plan` be tried without users? This program writes a log of
//! made-up requests:
//!
//! ```console
//! $ cargo run --example made_up_requests > requests.jsonl
//! $ cargo run --example made_up_requests -- 10000 8 > small.jsonl    # every side an eighth, as the demo model makes them
//! ```

mod generator;

use std::io::{BufWriter, Write as _};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let divisor = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for request in generator::requests(count, divisor) {
        serde_json::to_writer(&mut out, &request)?;
        writeln!(out)?;
    }
    Ok(out.flush()?)
}
