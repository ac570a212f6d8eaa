//! A table as Parquet: one group of rows after another, each column under zstd.

use std::{io::Write, sync::Arc};

use highwater_wire::report::JobReport;
use parquet::{
    basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical, ZstdLevel},
    data_type::{BoolType, ByteArray, ByteArrayType, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::Type,
};

use super::{
    Done,
    table::{Column, Kind, Tabular, Value},
};

/// A group is written once it has so many rows, or so many bytes of text.
const GROUP_ROWS: usize = 1 << 16;
const GROUP_BYTES: usize = 8 << 20;

pub(super) struct Parquet;

impl Tabular for Parquet {
    fn write<R: 'static, W: Write + Send>(
        of: &JobReport,
        columns: &'static [Column<R>],
        out: W,
        fill: impl FnOnce(&mut dyn FnMut(&[R]) -> Done) -> Done,
    ) -> Done {
        let told = [
            ("highwater.job", of.uuid.to_string()),
            ("highwater.project", of.project.clone()),
            ("highwater.name", of.name.clone()),
            ("highwater.started_at", of.started_at.clone()),
        ];
        let told = told.map(|(key, value)| KeyValue::new(key.to_owned(), value));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(told.into()))
            .set_created_by(concat!("highwater-server ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = Arc::new(schema(columns)?);
        let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
        let mut group = Group::of(columns);
        fill(&mut |rows| {
            for row in rows {
                for (column, gathered) in columns.iter().zip(&mut group.columns) {
                    group.bytes += gathered.push((column.of)(row));
                }
                group.rows += 1;
                if group.rows >= GROUP_ROWS || group.bytes >= GROUP_BYTES {
                    group.write(&mut file)?;
                    group = Group::of(columns);
                }
            }
            Ok(())
        })?;
        if group.rows > 0 {
            group.write(&mut file)?;
        }
        file.close()?;
        Ok(())
    }
}

fn schema<R>(columns: &[Column<R>]) -> Result<Type, ParquetError> {
    let fields: Result<Vec<_>, _> = columns
        .iter()
        .map(|column| {
            let (physical, logical, converted) = match column.kind {
                Kind::Int => (Physical::INT64, None, ConvertedType::NONE),
                Kind::Bool => (Physical::BOOLEAN, None, ConvertedType::NONE),
                Kind::Text => (
                    Physical::BYTE_ARRAY,
                    Some(LogicalType::String),
                    ConvertedType::UTF8,
                ),
            };
            Type::primitive_type_builder(column.name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical)
                .with_converted_type(converted)
                .build()
                .map(Arc::new)
        })
        .collect();
    Type::group_type_builder("highwater")
        .with_fields(fields?)
        .build()
}

/// Rows that wait to be written.
struct Group {
    rows: usize,
    /// Of text.
    bytes: usize,
    columns: Vec<Gathered>,
}

/// Fields of one column, with a level each: 1 where there is a value, 0 for null.
enum Gathered {
    Int(Vec<i64>, Vec<i16>),
    Bool(Vec<bool>, Vec<i16>),
    Text(Vec<ByteArray>, Vec<i16>),
}

impl Group {
    fn of<R>(columns: &[Column<R>]) -> Self {
        let columns = columns.iter().map(|column| match column.kind {
            Kind::Int => Gathered::Int(Vec::new(), Vec::new()),
            Kind::Bool => Gathered::Bool(Vec::new(), Vec::new()),
            Kind::Text => Gathered::Text(Vec::new(), Vec::new()),
        });
        Self {
            rows: 0,
            bytes: 0,
            columns: columns.collect(),
        }
    }

    fn write<W: Write + Send>(&self, file: &mut SerializedFileWriter<W>) -> Done {
        let mut group = file.next_row_group()?;
        for column in &self.columns {
            column.write(&mut group)?;
        }
        group.close()?;
        Ok(())
    }
}

impl Gathered {
    /// Takes a field, and answers how many bytes of text it added. One of another kind than its column counts as null.
    fn push(&mut self, value: Value<'_>) -> usize {
        match (self, value) {
            (Self::Int(values, levels), Value::Int(value)) => {
                values.push(value);
                levels.push(1);
                0
            }
            (Self::Bool(values, levels), Value::Bool(value)) => {
                values.push(value);
                levels.push(1);
                0
            }
            (Self::Text(values, levels), Value::Text(text)) => {
                levels.push(1);
                // Neighbours are often alike, and share their bytes then.
                match values.last() {
                    Some(last) if last.data() == text.as_bytes() => {
                        values.push(last.clone());
                        0
                    }
                    _ => {
                        values.push(text.as_bytes().to_vec().into());
                        text.len()
                    }
                }
            }
            (Self::Int(_, levels) | Self::Bool(_, levels) | Self::Text(_, levels), _) => {
                levels.push(0);
                0
            }
        }
    }

    fn write<W: Write + Send>(
        &self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let Some(mut column) = group.next_column()? else {
            return Ok(());
        };
        match self {
            Self::Int(values, levels) => {
                let typed = column.typed::<Int64Type>();
                typed.write_batch(values, Some(levels), None)?;
            }
            Self::Bool(values, levels) => {
                let typed = column.typed::<BoolType>();
                typed.write_batch(values, Some(levels), None)?;
            }
            Self::Text(values, levels) => {
                let typed = column.typed::<ByteArrayType>();
                typed.write_batch(values, Some(levels), None)?;
            }
        }
        column.close()
    }
}
