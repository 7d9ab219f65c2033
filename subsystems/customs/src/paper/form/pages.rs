//! Where everything stands: which rows go to which page, and the drawing of the pages.

use krilla::Document;
use krilla::page::PageSettings;

use super::PAGES_MAX;
use super::canvas::Canvas;
use super::content::{COLUMNS, Content, Row};
use super::labels::{self, Label};
use super::text::{LEADING, Line, Types};
use crate::paper::Error;
use crate::paper::qr::Code;
use crate::words::Language;

const PAGE_WIDTH: f32 = 595.0;
const PAGE_HEIGHT: f32 = 842.0;
const MARGIN: f32 = 36.0;
const WIDTH: f32 = PAGE_WIDTH - 2.0 * MARGIN;
const HALF: f32 = WIDTH / 2.0;
/// Upper edge of the first row of boxes, and the height of each of the three rows.
const BOXES_TOP: f32 = 86.0;
const BOX_HEIGHT: f32 = 66.0;
/// The table of goods on the first page, and on the others.
const TABLE_TOP: f32 = BOXES_TOP + 3.0 * BOX_HEIGHT;
const TABLE_BOTTOM: f32 = 588.0;
const NEXT_TOP: f32 = 70.0;
const NEXT_BOTTOM: f32 = 790.0;
/// The box of the code is square; its quiet zone is at least four modules of the largest version.
const CODE_SIDE: f32 = 144.0;
const CODE_BOX: f32 = CODE_SIDE + 16.0;
/// The boxes beside the code.
const REMARKS_HEIGHT: f32 = 50.0;
const ISSUER_HEIGHT: f32 = CODE_BOX - REMARKS_HEIGHT;
const PAD: f32 = 4.0;
const LABEL_SIZE: f32 = 6.0;
const CHECKING_SIZE: f32 = 5.5;
const BOX_SIZE: f32 = 8.0;
const TABLE_SIZE: f32 = 7.5;
const HEAD_HEIGHT: f32 = 24.0;
/// Smallest type into which the content of a box is pressed before it goes to a further page.
const BOX_SIZE_MIN: f32 = 6.0;
/// Most lines of a row that are kept together on one page.
const ROW_LINES_MAX: usize = 12;
/// Widths of the columns of goods; together [`WIDTH`].
const COLUMN_WIDTHS: [f32; COLUMNS] = [30.0, 92.0, 203.0, 88.0, 110.0];
const COLUMN_LABELS: [Label; COLUMNS] =
    [labels::ITEM, labels::PACKAGES, labels::GOODS, labels::CRITERION, labels::QUANTITY];

/// The rows of one page, each broken into lines.
pub(super) type Page = Vec<Broken>;

/// One row of the table as it is drawn.
type Broken = [Vec<Line>; COLUMNS];

/// A box of the first page whose content may be too long for it.
struct Cell<'a> {
    label: Label,
    at: (f32, f32),
    width: f32,
    height: f32,
    lines: &'a [String],
}

fn cells(content: &Content) -> [Cell<'_>; 7] {
    let (left, right) = (MARGIN, MARGIN + HALF);
    let beside_code = WIDTH - CODE_BOX;
    let row = |row: f32| BOXES_TOP + row * BOX_HEIGHT;
    let half =
        |label, x, y, lines| Cell { label, at: (x, y), width: HALF, height: BOX_HEIGHT, lines };
    let wide =
        |label, y, height, lines| Cell { label, at: (left, y), width: beside_code, height, lines };
    [
        half(labels::EXPORTER, left, row(0.0), &content.exporter),
        half(labels::CONSIGNEE, left, row(1.0), &content.consignee),
        half(labels::PRODUCER, right, row(0.0), &content.producer),
        half(labels::TRANSPORT, left, row(2.0), &content.transport),
        half(labels::INVOICES, right, row(2.0), &content.invoices),
        wide(labels::REMARKS, TABLE_BOTTOM, REMARKS_HEIGHT, &content.remarks),
        wide(labels::ISSUED_BY, TABLE_BOTTOM + REMARKS_HEIGHT, ISSUER_HEIGHT, &content.issuer),
    ]
}

/// Breaks the content of a box into lines of the largest type in which it fits; None when it fits
/// in none.
fn fit(types: &Types, cell: &Cell<'_>) -> Option<(f32, Vec<Line>)> {
    let room = cell.height - LABEL_SIZE * LEADING - 2.0 * PAD;
    let mut size = BOX_SIZE;
    while size >= BOX_SIZE_MIN {
        let broken = broken(types, size, cell.width, cell.lines);
        if depth(&broken) * size <= room {
            return Some((size, broken));
        }
        size -= 0.5;
    }
    None
}

fn broken(types: &Types, size: f32, width: f32, lines: &[String]) -> Vec<Line> {
    lines.iter().flat_map(|line| types.lines(line, size, width - 2.0 * PAD)).collect()
}

/// Returns the height of lines in parts of the type size.
fn depth(lines: &[Line]) -> f32 {
    lines.iter().map(Line::leading).sum()
}

fn height(row: &Broken) -> f32 {
    row.iter().map(|lines| depth(lines)).fold(0.0, f32::max) * TABLE_SIZE + PAD
}

/// Breaks a row into lines, and a very long one into several rows.
fn pieces(types: &Types, row: &Row) -> Vec<Broken> {
    let mut columns = Broken::default();
    for ((column, lines), width) in columns.iter_mut().zip(row).zip(COLUMN_WIDTHS) {
        *column = broken(types, TABLE_SIZE, width, lines);
    }
    let mut rows = Vec::new();
    while columns.iter().any(|column| !column.is_empty()) {
        rows.push(
            columns
                .each_mut()
                .map(|column| column.drain(..column.len().min(ROW_LINES_MAX)).collect::<Vec<_>>()),
        );
    }
    rows
}

/// Decides which rows go to which page.
pub(super) fn plan(content: &Content, types: &Types) -> Result<Vec<Page>, Error> {
    let mut rows: Vec<Broken> = content.items.iter().flat_map(|row| pieces(types, row)).collect();
    for cell in cells(content).iter().filter(|cell| fit(types, cell).is_none()) {
        let mut row = Row::default();
        let [_, _, goods, ..] = &mut row;
        goods.push(cell.label.both(content.beside));
        goods.extend(cell.lines.iter().cloned());
        rows.extend(pieces(types, &row));
    }
    let mut pages = vec![Page::new()];
    let mut left = TABLE_BOTTOM - TABLE_TOP - HEAD_HEIGHT - LABEL_SIZE * LEADING - PAD;
    for row in rows {
        let needed = height(&row);
        if needed > left {
            if pages.len() == PAGES_MAX {
                return Err(Error::Pages(PAGES_MAX));
            }
            pages.push(Page::new());
            left = NEXT_BOTTOM - NEXT_TOP - HEAD_HEIGHT - LABEL_SIZE * LEADING - PAD;
        }
        left -= needed;
        if let Some(page) = pages.last_mut() {
            page.push(row);
        }
    }
    Ok(pages)
}

/// Draws every page.
pub(super) fn draw(
    document: &mut Document,
    plan: &[Page],
    content: &Content,
    code: &Code,
    types: &Types,
) -> Result<(), Error> {
    let beside = content.beside;
    for (index, rows) in plan.iter().enumerate() {
        let settings = PageSettings::from_wh(PAGE_WIDTH, PAGE_HEIGHT)
            .ok_or(Error::Drawing("the page has no size"))?;
        let mut page = document.start_page_with(settings);
        let mut surface = page.surface();
        let mut canvas = Canvas { surface: &mut surface, types };
        if content.sample {
            let middle = (PAGE_WIDTH / 2.0, PAGE_HEIGHT / 2.0);
            let below = (middle.0 + 44.0, middle.1 + 44.0);
            canvas.watermark(middle, 64.0, &labels::SAMPLE.both(beside));
            canvas.watermark(below, 24.0, &labels::INVENTED.both(beside));
        }
        let (top, bottom) = if index == 0 {
            first_page(&mut canvas, content, code);
            (TABLE_TOP, TABLE_BOTTOM)
        } else {
            canvas.bold((MARGIN, 48.0), 12.0, &labels::TITLE.both(beside));
            canvas.bold((MARGIN, 62.0), 10.0, &content.number);
            (NEXT_TOP, NEXT_BOTTOM)
        };
        table(&mut canvas, rows, (top, bottom), beside);
        if index + 1 < plan.len() {
            let at = (MARGIN + PAD, bottom - PAD);
            canvas.label(at, LABEL_SIZE, &labels::MORE.both(beside));
        }
        let page_line = format!("{} {} / {}", labels::PAGE.both(beside), index + 1, plan.len());
        let foot = format!("{} {}", labels::NUMBER.both(beside), content.number);
        canvas.label((MARGIN, 802.0), LABEL_SIZE, &format!("{foot}; {page_line}"));
        canvas.label((MARGIN, 811.0), LABEL_SIZE, &format!("SHA-256 {}", content.digest));
        surface.finish();
        page.finish();
    }
    Ok(())
}

fn first_page(canvas: &mut Canvas<'_, '_>, content: &Content, code: &Code) {
    let (types, beside) = (canvas.types, content.beside);
    canvas.bold((MARGIN, 50.0), 16.0, &labels::TITLE.en.to_uppercase());
    if let Some(title) = labels::TITLE.second(beside) {
        canvas.bold((MARGIN, 66.0), 12.0, title);
    }
    canvas.label((MARGIN, 78.0), 7.0, &content.subtitle);
    let right = MARGIN + HALF;
    canvas.label((right, 44.0), LABEL_SIZE, &labels::NUMBER.both(beside));
    let number = Line::new(&content.number);
    let size = [14.0, 11.0, 8.0, 6.0, 4.0];
    let fits = |size: &f32| types.width(&number, *size, true) <= HALF;
    let size = size.into_iter().find(fits).unwrap_or(3.0);
    canvas.bold((right, 60.0), size, &content.number);
    canvas.label((right, 78.0), 7.0, &content.form);
    for cell in &cells(content) {
        let (x, y) = cell.at;
        canvas.frame(x, y, cell.width, cell.height);
        canvas.label((x + PAD, y + PAD + LABEL_SIZE - 1.0), LABEL_SIZE, &cell.label.both(beside));
        let at = (x + PAD, y + PAD + LABEL_SIZE * LEADING);
        match fit(types, cell) {
            Some((size, lines)) => canvas.block(at, cell.width - 2.0 * PAD, size, &lines),
            None => canvas.text((at.0, at.1 + BOX_SIZE), BOX_SIZE, &labels::CONTINUED.both(beside)),
        }
    }
    official(canvas, beside);
    code_box(canvas, code, beside);
}

/// The box that customs fills in by hand.
fn official(canvas: &mut Canvas<'_, '_>, beside: Language) {
    let (x, y) = (MARGIN + HALF, BOXES_TOP + BOX_HEIGHT);
    canvas.frame(x, y, HALF, BOX_HEIGHT);
    canvas.label((x + PAD, y + PAD + LABEL_SIZE - 1.0), LABEL_SIZE, &labels::OFFICIAL.both(beside));
    for (line, label) in [(26.0, labels::GRANTED), (42.0, labels::DENIED)] {
        canvas.frame(x + PAD, y + line - 6.0, 7.0, 7.0);
        canvas.text((x + PAD + 11.0, y + line), 7.0, &label.both(beside));
    }
}

/// The code in its box, and below all boxes how to check it.
fn code_box(canvas: &mut Canvas<'_, '_>, code: &Code, beside: Language) {
    let (x, y) = (MARGIN + WIDTH - CODE_BOX, TABLE_BOTTOM);
    canvas.frame(x, y, CODE_BOX, CODE_BOX);
    let quiet = (CODE_BOX - CODE_SIDE) / 2.0;
    canvas.code((x + quiet, y + quiet), CODE_SIDE, code);
    let texts = labels::CHECKING.iter().map(|label| label.en);
    let seconds = labels::CHECKING.iter().filter_map(|label| label.second(beside));
    let lines =
        texts.chain(seconds).flat_map(|text| canvas.types.lines(text, CHECKING_SIZE, WIDTH));
    let lines: Vec<Line> = lines.collect();
    canvas.block((MARGIN, y + CODE_BOX + PAD), WIDTH, CHECKING_SIZE, &lines);
}

fn table(
    canvas: &mut Canvas<'_, '_>,
    rows: &[Broken],
    (top, bottom): (f32, f32),
    beside: Language,
) {
    let types = canvas.types;
    let mut x = MARGIN;
    for (label, width) in COLUMN_LABELS.into_iter().zip(COLUMN_WIDTHS) {
        canvas.frame(x, top, width, bottom - top);
        canvas.frame(x, top, width, HEAD_HEIGHT);
        let texts = [Some(label.en), label.second(beside)];
        let mut y = top + PAD + LABEL_SIZE - 1.0;
        for text in texts.into_iter().flatten() {
            for line in types.lines(text, LABEL_SIZE, width - 2.0 * PAD) {
                canvas.label_line((x + PAD, y), LABEL_SIZE, &line);
                y += LABEL_SIZE * 1.1;
            }
        }
        x += width;
    }
    let mut y = top + HEAD_HEIGHT + PAD / 2.0;
    for row in rows {
        let mut x = MARGIN;
        for (lines, width) in row.iter().zip(COLUMN_WIDTHS) {
            canvas.block((x + PAD, y), width - 2.0 * PAD, TABLE_SIZE, lines);
            x += width;
        }
        y += height(row);
    }
}
