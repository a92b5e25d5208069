//! CSV and TSV: a header line, `\n` between records, quotes where RFC 4180
//! needs them. Null and what is not a finite number are empty fields.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Schema};
use csv::{ByteRecord, Writer, WriterBuilder};

use super::number::push_scalar;
use super::text::Encode;

/// Writes the columns of one schema.
pub struct CsvEncoder {
    delimiter: u8,
    names: Vec<String>,
}

impl CsvEncoder {
    pub fn new(schema: &Schema, delimiter: u8) -> Self {
        let names = schema.fields().iter().map(|field| field.name().clone());
        Self {
            delimiter,
            names: names.collect(),
        }
    }

    fn append(&self, record: &ByteRecord, out: &mut Writer<&mut Vec<u8>>) {
        // Writing to memory cannot fail, and neither can a record's length
        // differ from the last one's: both have a field for each column.
        let _ = out.write_byte_record(record);
    }

    fn writer<'a>(&self, out: &'a mut Vec<u8>) -> Writer<&'a mut Vec<u8>> {
        WriterBuilder::new()
            .delimiter(self.delimiter)
            .from_writer(out)
    }
}

impl Encode for CsvEncoder {
    fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        self.append(
            &ByteRecord::from(self.names.clone()),
            &mut self.writer(&mut header),
        );
        header
    }

    fn encode(&self, batch: &RecordBatch, out: &mut Vec<u8>) {
        let mut writer = self.writer(out);
        let mut record = ByteRecord::new();
        let mut number = Vec::new();
        for at in 0..batch.num_rows() {
            record.clear();
            for column in batch.columns() {
                record.push_field(field(column, at, &mut number));
            }
            self.append(&record, &mut writer);
        }
    }
}

fn field<'a>(column: &'a dyn Array, at: usize, number: &'a mut Vec<u8>) -> &'a [u8] {
    number.clear();
    if column.is_null(at) {
        return number;
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(at).as_bytes(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(at).as_bytes(),
        DataType::Utf8View => column.as_string_view().value(at).as_bytes(),
        _ => {
            push_scalar(number, column, at);
            number
        }
    }
}
