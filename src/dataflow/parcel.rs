//! What travels along an edge: one micro-batch, or part of one.

use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use timely::Accountable;
use timely::bytes::arc::Bytes;
use timely::communication::Push;
use timely::dataflow::channels::pact::DistributorPact;
use timely::dataflow::channels::pushers::exchange::Distributor;
use timely::dataflow::channels::{ContainerBytes, Message};
use timely::progress::Stamp;

/// Rows of one time. As a timely container it counts as one record; only the default
/// one, which timely leaves behind when it moves one out, is empty.
#[derive(Clone, Debug, Default)]
pub struct Parcel {
    /// The micro-batch's sequence number.
    pub time: u64,
    /// The rows, or why they could not be read off the wire.
    pub rows: Option<Result<RecordBatch, String>>,
}

impl Parcel {
    /// Rows of `time`.
    pub fn new(time: u64, rows: RecordBatch) -> Self {
        Parcel {
            time,
            rows: Some(Ok(rows)),
        }
    }
}

impl Accountable for Parcel {
    fn record_count(&self) -> i64 {
        i64::from(self.rows.is_some())
    }
}

impl ContainerBytes for Parcel {
    fn from_bytes(bytes: Bytes) -> Self {
        let (time, rows) = match bytes.split_first_chunk::<8>() {
            Some((time, rest)) => (u64::from_le_bytes(*time), decode(rest)),
            None => (0, Err("a message of less than 8 bytes".to_owned())),
        };
        Parcel {
            time,
            rows: Some(rows),
        }
    }

    fn length_in_bytes(&self) -> usize {
        // A multiple of 8, as timely lays messages side by side.
        self.encode().len().next_multiple_of(8)
    }

    fn into_bytes<W: Write>(&self, writer: &mut W) {
        let mut bytes = self.encode();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        // The writer is timely's buffer of `length_in_bytes`: it does not fail, and
        // this signature could not say so.
        let _ = writer.write_all(&bytes);
    }
}

impl Parcel {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.time.to_le_bytes().to_vec();
        if let Some(Ok(rows)) = &self.rows {
            let written = StreamWriter::try_new(&mut bytes, &rows.schema())
                .and_then(|mut writer| writer.write(rows).and_then(|()| writer.finish()));
            if written.is_err() {
                // What is cut off is refused at the other end.
                bytes.truncate(8);
            }
        }
        bytes
    }
}

fn decode(bytes: &[u8]) -> Result<RecordBatch, String> {
    let mut reader = StreamReader::try_new(bytes, None).map_err(|e| e.to_string())?;
    let first = reader
        .next()
        .ok_or_else(|| "a message without rows".to_owned())?;
    first.map_err(|e| e.to_string())
}

/// Sends each parcel, whole, to the worker that `route` names for its time.
pub struct Route {
    route: Arc<dyn Fn(u64) -> usize + Send + Sync>,
}

/// The contract of an edge whose parcels `route` sends to a worker.
pub fn route_to(
    route: Arc<dyn Fn(u64) -> usize + Send + Sync>,
) -> DistributorPact<Box<dyn FnOnce(usize) -> Route>> {
    DistributorPact(Box::new(move |_peers| Route { route }))
}

impl Distributor<Parcel> for Route {
    fn partition<T: Clone, P: Push<Message<T, Parcel>>>(
        &mut self,
        parcel: &mut Parcel,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let worker = (self.route)(parcel.time);
        Message::push_at(parcel, stamp.clone(), &mut pushers[worker]);
    }

    fn flush<T: Clone, P: Push<Message<T, Parcel>>>(&mut self, _: &Stamp<T>, _: &mut [P]) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, UInt64Array};

    #[test]
    fn a_parcel_survives_the_wire() {
        let column: ArrayRef = Arc::new(UInt64Array::from(vec![3, 4]));
        let rows = RecordBatch::try_from_iter([("review", column)]).unwrap();
        let parcel = Parcel::new(7, rows.clone());
        let mut bytes = Vec::new();
        parcel.into_bytes(&mut bytes);
        assert_eq!(bytes.len(), parcel.length_in_bytes());
        let mut slab = timely::bytes::arc::BytesMut::from(bytes.clone());
        let back = Parcel::from_bytes(slab.extract_to(bytes.len()));
        assert_eq!((back.time, back.rows), (7, Some(Ok(rows))));
        let mut slab = timely::bytes::arc::BytesMut::from(bytes[..40].to_vec());
        let cut = Parcel::from_bytes(slab.extract_to(40));
        assert!(matches!(cut.rows, Some(Err(_))));
    }
}
