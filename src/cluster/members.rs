//! Which devices of a cluster take part in a run.

/// The most devices of a cluster that can run in part.
pub const MEMBERS_MAX: usize = 64;

/// All devices of a cluster, or some of its first 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Members(u64);

impl Members {
    /// Whoever the cluster file names.
    pub const ALL: Members = Members(0);

    /// Those for which `is` holds, of `devices` in all.
    pub fn of(devices: usize, is: impl Fn(usize) -> bool) -> Self {
        if (0..devices).all(&is) {
            Members::ALL
        } else {
            Members(
                (0..devices.min(MEMBERS_MAX))
                    .fold(0, |bits, device| bits | u64::from(is(device)) << device),
            )
        }
    }

    /// Whether `device` takes part.
    pub fn has(self, device: usize) -> bool {
        self == Members::ALL || device < MEMBERS_MAX && self.0 >> device & 1 == 1
    }

    /// As a hello has it: a bit for each device, the first one's the lowest; none for all.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The same back, where those bits can be of a cluster of `devices`.
    pub fn from_bits(bits: u64, devices: u32) -> Option<Self> {
        let beyond = bits.checked_shr(devices).unwrap_or(0);
        let some_of_many = bits != 0 && devices > 64;
        (beyond == 0 && !some_of_many).then_some(Members(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_and_all() {
        let some = Members::of(3, |device| device != 1);
        assert_eq!(some.bits(), 0b101);
        assert_eq!(
            [0, 1, 2, 3, 64].map(|d| some.has(d)),
            [true, false, true, false, false]
        );
        assert_eq!(Members::of(70, |_| true), Members::ALL);
        assert!(Members::ALL.has(69));
        assert_eq!(Members::from_bits(0b101, 3), Some(some));
        assert_eq!(Members::from_bits(0b101, 2), None);
        assert_eq!(Members::from_bits(1 << 63, 64), Some(Members(1 << 63)));
        assert_eq!(Members::from_bits(1, 65), None);
    }
}
