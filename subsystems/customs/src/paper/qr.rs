//! The QR code (ISO/IEC 18004): a token as modules, and a token out of an image.
//!
//! Error correction is level M or better, and the version at most [`VERSION_MAX`], so that a
//! module of the printed code stays as large as a phone can tell apart.
//!
//! Invariants: an image is read in bounded memory, whatever its head says.

use karvan_types::limits::JSON_BYTES_MAX;
use png::{ColorType, Decoder, Limits, Transformations};
use qrcodegen::{Mask, QrCode, QrCodeEcc, QrSegment, Version};
use rqrr::PreparedImage;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::Error;

/// Largest version: 97 × 97 modules.
pub const VERSION_MAX: u8 = 20;
/// Longest token at that version and level M, in bytes (ISO/IEC 18004, table 7).
pub const TOKEN_BYTES_MAX: usize = 666;
/// Longest image file, in bytes.
pub const IMAGE_BYTES_MAX: usize = JSON_BYTES_MAX;
/// Most pixels of an image.
const PIXELS_MAX: usize = 40_000_000;
/// Most bytes that the reader of images may take for itself.
const DECODER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// What is darker than this is dark in a drawing.
const MIDDLE_GREY: u8 = 128;
/// Most codes read from one image.
const CODES_MAX: usize = 16;

/// A code as a square of modules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Code {
    /// Modules along a side, without the quiet zone.
    pub size: usize,
    /// The version, 1 to 40.
    pub version: u8,
    modules: Vec<bool>,
}

impl Code {
    /// Makes the code of a text.
    pub fn new(text: &str) -> Result<Self, Error> {
        let (low, high) = (Version::MIN, Version::new(VERSION_MAX));
        let bytes = QrSegment::make_bytes(text.as_bytes());
        let mask: Option<Mask> = None;
        let code =
            QrCode::encode_segments_advanced(&[bytes], QrCodeEcc::Medium, low, high, mask, true)
                .map_err(|_| Error::TooLong {
                    bytes: text.len(),
                    bytes_max: TOKEN_BYTES_MAX,
                    version: VERSION_MAX,
                })?;
        let side = code.size();
        let modules = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
        let modules = modules.map(|(x, y)| code.get_module(x, y)).collect();
        let size = usize::try_from(side).unwrap_or_default();
        Ok(Self { size, version: code.version().value(), modules })
    }

    /// Returns whether a module is dark; those outside are light.
    pub fn is_dark(&self, x: usize, y: usize) -> bool {
        let inside = x < self.size && y < self.size;
        inside && self.modules.get(y * self.size + x).copied().unwrap_or(false)
    }
}

/// Reads the texts of all codes in a greyscale image, row by row from the top.
pub fn read_grey(width: usize, height: usize, grey: &[u8]) -> Result<Vec<String>, Error> {
    let fits = width.checked_mul(height).is_some_and(|n| n <= PIXELS_MAX && n <= grey.len());
    if !fits || width == 0 {
        return Err(Error::Image("the image is too large or not whole"));
    }
    let shade = |x: usize, y: usize| grey.get(y * width + x).copied().unwrap_or(u8::MAX);
    // The first way follows uneven light, as on a photograph; the second suits a scan or a drawing,
    // where large grey or white areas mislead the first.
    let ways = [
        PreparedImage::prepare_from_greyscale(width, height, shade),
        PreparedImage::prepare_from_bitmap(width, height, |x, y| shade(x, y) < MIDDLE_GREY),
    ];
    let mut seen = false;
    for mut image in ways {
        let grids = image.detect_grids();
        seen |= !grids.is_empty();
        let decoded = grids.iter().take(CODES_MAX).filter_map(|grid| grid.decode().ok());
        let texts: Vec<String> = decoded.map(|(_, text)| text).collect();
        if !texts.is_empty() {
            return Ok(texts);
        }
    }
    let unread = "the QR code cannot be read";
    Err(Error::Image(if seen { unread } else { "there is no QR code in the image" }))
}

/// Reads the texts of all codes in an image, PNG or JPEG by its first bytes.
pub fn read_image(bytes: &[u8]) -> Result<Vec<String>, Error> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => read_jpeg(bytes),
        [b'%', b'P', b'D', b'F', ..] => Err(Error::Pdf),
        _ => read_png(bytes),
    }
}

/// Reads the texts of all codes in a JPEG image (ITU-T T.81), as a phone makes it.
pub fn read_jpeg(bytes: &[u8]) -> Result<Vec<String>, Error> {
    let broken = |_| Error::Image("this is no whole JPEG image");
    if bytes.len() > IMAGE_BYTES_MAX {
        return Err(Error::Image("the image file is too long"));
    }
    let options =
        DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::Luma);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(broken)?;
    let info = decoder.info().ok_or(Error::Image("this is no whole JPEG image"))?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    if width.saturating_mul(height) > PIXELS_MAX {
        return Err(Error::Image("the image has too many pixels"));
    }
    let grey = decoder.decode().map_err(broken)?;
    read_grey(width, height, &grey)
}

/// Reads the texts of all codes in a PNG image.
pub fn read_png(bytes: &[u8]) -> Result<Vec<String>, Error> {
    let broken = |_| Error::Image("this is no whole PNG image");
    if bytes.len() > IMAGE_BYTES_MAX {
        return Err(Error::Image("the image file is too long"));
    }
    let limits = Limits { bytes: DECODER_BYTES_MAX };
    let mut decoder = Decoder::new_with_limits(std::io::Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(broken)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let size = reader.output_buffer_size().unwrap_or(usize::MAX);
    if width.saturating_mul(height) > PIXELS_MAX || size > DECODER_BYTES_MAX {
        return Err(Error::Image("the image has too many pixels"));
    }
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(broken)?;
    let channels = match frame.color_type {
        ColorType::Grayscale | ColorType::Indexed => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
    };
    let grey: Vec<u8> = pixels.chunks_exact(channels).map(shade).collect();
    read_grey(width, height, &grey)
}

/// Returns the lightness of a pixel on white paper. The middle channel stands for the colour: a
/// code is black on white.
fn shade(pixel: &[u8]) -> u8 {
    match *pixel {
        [_, green, _] => green,
        [grey, alpha] | [_, grey, _, alpha] => {
            let on_white = u16::from(grey) * u16::from(alpha) + 255 * (255 - u16::from(alpha));
            u8::try_from(on_white / 255).unwrap_or(u8::MAX)
        }
        _ => pixel.first().copied().unwrap_or(u8::MAX),
    }
}
