//! A wrapper's status in cells of time, as status pages show it: one row a range.

use serde::Serialize;

use crate::analysis::cells::RangeCells;
use crate::analysis::health::Status;
use crate::analysis::snapshot::RANGES;
use crate::report::charts::Span;
use crate::report::format;

#[derive(Debug, Serialize)]
pub struct TimelineView {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    range: &'static str,
    chosen: bool,
    /// How long ago the row begins, and how long a cell is: `24 hours`, `an hour`.
    length: String,
    cell: String,
    cells: Vec<Cell>,
}

#[derive(Debug, Serialize)]
struct Cell {
    status: Status,
    start_ms: i64,
    operations: u64,
}

impl TimelineView {
    pub fn of(ranges: &[RangeCells], chosen: &str) -> TimelineView {
        let row = |(cells, &(range, hours)): (&RangeCells, &(&'static str, u32))| Row {
            range,
            chosen: range == chosen,
            length: if hours > 48 { format!("{} days", hours / 24) } else { format::stretch(hours * 60) },
            cell: cell_length(cells.health.step_minutes),
            cells: row(cells),
        };
        TimelineView { rows: ranges.iter().zip(&RANGES).map(row).collect() }
    }
}

fn cell_length(minutes: i64) -> String {
    match minutes {
        60 => "an hour".to_owned(),
        1440 => "a day".to_owned(),
        minutes => format::stretch(minutes as u32),
    }
}

/// All cells of a range, those without operations too.
fn row(range: &RangeCells) -> Vec<Cell> {
    let span = Span::over(range.health.window, range.health.step_minutes);
    let start = |cell: usize| span.first_ms + cell as i64 * span.step_ms;
    let empty = |cell| Cell { status: Status::NoData, start_ms: start(cell), operations: 0 };
    let mut cells: Vec<_> = (0..span.cells).map(empty).collect();
    for &(at_ms, (status, operations)) in &range.health.points {
        if let Some(place) = span.place(at_ms) {
            cells[place] = Cell { status, operations, ..empty(place) };
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::cells::{Cells, Latencies};
    use crate::analysis::window::Window;
    use crate::model::time::HOUR_MS;

    #[test]
    fn an_hour_without_operations_has_no_status() {
        let window = Window { from: 30, to: 270 };
        let points = vec![(0, (Status::Healthy, 3)), (2 * HOUR_MS, (Status::Critical, 1))];
        let health = Cells { window, step_minutes: 60, points };
        let nothing = Cells { window, step_minutes: 60, points: Vec::new() };
        let cells = Cells { window, step_minutes: 60, points: Vec::new() };
        let latency = Latencies { cells, total: Default::default() };
        let cells = RangeCells {
            latency,
            health,
            models: nothing,
            errors: Cells { points: Vec::new(), window, step_minutes: 60 },
        };
        let row: Vec<_> = row(&cells).iter().map(|cell| (cell.start_ms / HOUR_MS, cell.status)).collect();
        let (none, good) = (Status::NoData, Status::Healthy);
        assert_eq!(row, [(0, good), (1, none), (2, Status::Critical), (3, none), (4, none)]);
    }
}
