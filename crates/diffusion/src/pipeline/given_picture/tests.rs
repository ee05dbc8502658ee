use std::path::PathBuf;

use super::*;

/// A PNG file of this colour type, whose pixels are `data`.
fn png(folder: &Path, name: &str, size: [u32; 2], colour: ColorType, data: &[u8]) -> PathBuf {
    let path = folder.join(name);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size[0], size[1]);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    if colour == ColorType::Indexed {
        encoder.set_palette(vec![9, 8, 7, 1, 2, 3]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(data).unwrap();
    writer.finish().unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn every_kind_of_png_is_read_without_its_alpha() {
    let temp = tempfile::tempdir().unwrap();
    let read = |colour, data: &[u8]| {
        Pixels::read("image", &png(temp.path(), "a.png", [2, 1], colour, data)).unwrap().rgb
    };
    assert_eq!(read(ColorType::Rgb, &[1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]);
    assert_eq!(read(ColorType::Rgba, &[1, 2, 3, 0, 4, 5, 6, 255]), [1, 2, 3, 4, 5, 6]);
    assert_eq!(read(ColorType::Grayscale, &[7, 9]), [7, 7, 7, 9, 9, 9]);
    assert_eq!(read(ColorType::GrayscaleAlpha, &[7, 0, 9, 1]), [7, 7, 7, 9, 9, 9]);
    assert_eq!(read(ColorType::Indexed, &[1, 0]), [1, 2, 3, 9, 8, 7]);
}

#[test]
fn what_is_no_png_file_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    let told = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let told = Pixels::read("image", &path).unwrap_err().to_string();
        told.replace(&path.display().to_string(), "image")
    };
    let begins = "the image image is not a PNG file that can be read: ";
    let jpeg = format!("{begins}it is a JPEG file: convert it to PNG first");
    assert_eq!(told(b"\xff\xd8\xff\xe0...."), jpeg);
    assert_eq!(told(b"RIFF....WEBPVP8 "), jpeg.replace("JPEG", "WebP"));
    assert_eq!(told(b"....ftypavif"), jpeg.replace("JPEG", "AVIF or HEIF"));
    assert_eq!(told(b"hello"), format!("{begins}it is no picture"));
    let whole = std::fs::read(png(temp.path(), "a.png", [2, 1], ColorType::Rgb, &[0; 6])).unwrap();
    assert!(told(&whole[..whole.len() / 2]).starts_with(&format!("{begins}it is damaged: ")));
    let mut large = whole.clone();
    // The width in the header, and the checksum behind it.
    large[16..20].copy_from_slice(&[0, 2, 0, 0]);
    large[29..33].copy_from_slice(&[0x44, 0x1d, 0x7e, 0x1f]);
    assert!(told(&large).starts_with(begins));
    let missing = temp.path().join("none.png");
    let told = Pixels::read("mask", &missing).unwrap_err().to_string();
    assert_eq!(told, format!("the mask {} cannot be read", missing.display()));
}

#[test]
fn a_mask_of_another_size_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let grey = |name, size: [u32; 2]| {
        let pixels = vec![200; (size[0] * size[1]) as usize];
        png(temp.path(), name, size, ColorType::Grayscale, &pixels)
    };
    let (image, mask) = (grey("image.png", [16, 24]), grey("mask.png", [24, 16]));
    let mut request = TextToImage::new("seven");
    (request.image, request.mask) = (Some(image), Some(mask));
    let told = GivenPicture::of(&request, [16, 24]).unwrap_err().to_string();
    let said = "it has 24x16 px, and the image has 16x24 px: both must have the same size";
    assert!(told.starts_with("mask is ") && told.ends_with(said), "{told}");
    request.mask = request.image.clone();
    let given = GivenPicture::of(&request, [16, 24]).unwrap().unwrap();
    assert_eq!(given.made_anew([16, 24]).unwrap(), [true; 16 * 24]);
    assert_eq!(GivenPicture::size(&request).unwrap(), Some([16, 24]));
    request.image = Some(grey("odd.png", [23, 31]));
    assert_eq!(GivenPicture::size(&request).unwrap(), Some([16, 24]), "rounded down");
}

#[test]
fn a_picture_is_padded_by_its_last_column_and_row() {
    let pixels = Pixels { size: [2, 2], rgb: [[1; 3], [2; 3], [3; 3], [4; 3]].concat() };
    let padded = pixels.padded([4, 3]);
    let grey: Vec<u8> = padded.rgb.iter().step_by(3).copied().collect();
    assert_eq!((padded.size, grey), ([4, 3], vec![1, 2, 2, 2, 3, 4, 4, 4, 3, 4, 4, 4]));
}

#[test]
fn masked_pixels_are_grey_and_others_are_from_minus_one_to_one() {
    let pixels = Pixels { size: [3, 1], rgb: vec![0, 255, 51, 255, 0, 0, 9, 9, 9] };
    let planes = pixels.planes(Some(&[false, false, true]));
    assert_eq!(planes, [-1.0, 1.0, 0.0, 1.0, -1.0, 0.0, -0.6, -1.0, 0.0]);
    assert_eq!(luminance([127; 3]), 127);
    assert_eq!(luminance([255, 0, 0]), 76);
}
