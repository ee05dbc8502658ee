//! In which dtype does the CPU compute through libtorch?

use super::lab::warnings;
use crate::support::Lab;
use crate::support::demo::Picture;

/// The smallest allowed peak signal-to-noise ratio of a picture in bfloat16 against the one in
/// float32. XLA:CPU has the same limit.
const PSNR_BF16_DB: f64 = 35.0;

#[test]
fn the_cpu_computes_in_float32_unless_forced() {
    let lab = Lab::new();
    let run = |flags: &str| {
        let words = "--json run --prompt seven --seed 1 --output out.png";
        let ran = lab.torch().words(words).words(flags).run().done().json();
        (ran, Picture::read(&lab.path("out.png")))
    };
    let dtypes = || {
        let entries = lab.bare().words("--json cache list").run().done().json();
        let entries = entries.as_array().unwrap().iter();
        let mut dtypes: Vec<_> =
            entries.map(|entry| entry["dtype"].as_str().unwrap().to_owned()).collect();
        dtypes.sort();
        dtypes
    };
    let (plain, expected) = run("");
    assert_eq!(
        (plain["signature"]["dtype"].as_str(), warnings(&plain).len()),
        (Some("float32"), 0)
    );

    let (asked, picture) = run("--precision bf16");
    assert_eq!(asked["signature"]["dtype"], "float32");
    assert_eq!(picture.rgb, expected.rgb);
    let said = warnings(&asked);
    assert!(
        !said.is_empty() && said.iter().all(|warning| warning.contains("--force-precision")),
        "{said:?}"
    );
    assert_eq!(dtypes(), ["float32"; 3]);

    let (forced, picture) = run("--precision bf16 --force-precision");
    assert_eq!(
        (forced["signature"]["dtype"].as_str(), warnings(&forced).len()),
        (Some("bfloat16"), 0)
    );
    assert_eq!(dtypes(), ["bfloat16", "bfloat16", "bfloat16", "float32", "float32", "float32"]);
    let psnr = picture.psnr(&expected);
    println!("parity the demo model in bfloat16 on the CPU: {psnr:.1} dB");
    assert!(psnr >= PSNR_BF16_DB && psnr.is_finite(), "{psnr} dB");

    // The flag for one stage does not change the dtype of the denoiser.
    let (one, _) = run("--vae-precision bf16 --force-precision");
    assert_eq!(one["signature"]["dtype"], "float32");
}
