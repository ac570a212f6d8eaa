//! A table as CSV: a line of names, then a line a row. Null and empty text are both an empty field.

use std::io::Write;

use highwater_wire::report::JobReport;

use super::{
    Done,
    table::{Column, Tabular, Value},
};

pub(super) struct Csv;

impl Tabular for Csv {
    fn write<R: 'static, W: Write + Send>(
        _of: &JobReport,
        columns: &'static [Column<R>],
        out: W,
        fill: impl FnOnce(&mut dyn FnMut(&[R]) -> Done) -> Done,
    ) -> Done {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(columns.iter().map(|column| column.name))?;
        fill(&mut |rows| {
            for row in rows {
                for column in columns {
                    match (column.of)(row) {
                        Value::Null => csv.write_field("")?,
                        Value::Int(value) => csv.write_field(value.to_string())?,
                        Value::Bool(true) => csv.write_field("true")?,
                        Value::Bool(false) => csv.write_field("false")?,
                        Value::Text(text) => csv.write_field(&*text)?,
                    }
                }
                csv.write_record(None::<&[u8]>)?;
            }
            Ok(())
        })?;
        csv.flush()?;
        Ok(())
    }
}
