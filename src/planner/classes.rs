//! Devices that are the same to a plan, so that only their number counts.

use super::instance::{Instance, Link};

/// The classes of an instance's devices.
pub struct Classes {
    /// For each class, its devices.
    pub devices: Vec<Vec<usize>>,
    /// For each device, its class.
    of: Vec<usize>,
    /// From a device of one class to another one of another or the same class.
    links: Vec<Vec<Link>>,
}

impl Classes {
    /// Puts together all devices that could change places: with the same kind, workers, memory
    /// and links, none of which is the source, the sink or named by a unit.
    pub fn of(instance: &Instance) -> Self {
        let mut devices: Vec<Vec<usize>> = Vec::new();
        for device in 0..instance.devices.len() {
            let same = devices
                .iter_mut()
                .find(|class| class.iter().all(|&one| same(instance, one, device)));
            match same {
                Some(class) => class.push(device),
                None => devices.push(vec![device]),
            }
        }
        let mut of = vec![0; instance.devices.len()];
        for (class, members) in devices.iter().enumerate() {
            members.iter().for_each(|&device| of[device] = class);
        }
        let link = |from: &Vec<usize>, to: &Vec<usize>| {
            let other = to.iter().find(|&&to| to != from[0]);
            other.map_or(Link::FREE, |&to| instance.links[from[0]][to])
        };
        let links = devices
            .iter()
            .map(|from| devices.iter().map(|to| link(from, to)).collect());
        Classes {
            links: links.collect(),
            devices,
            of,
        }
    }

    /// Between two devices, each of which may stand for another of its class.
    pub fn link(&self, from: usize, to: usize) -> Link {
        self.links[self.of[from]][self.of[to]]
    }

    /// How many devices each class has.
    pub fn counts(&self) -> Vec<usize> {
        self.devices.iter().map(Vec::len).collect()
    }
}

/// Whether devices `a` and `b` could change places.
fn same(instance: &Instance, a: usize, b: usize) -> bool {
    let named = |device: usize| {
        let bound = instance.units.iter().filter_map(|unit| unit.only.as_ref());
        device == instance.source
            || device == instance.sink
            || bound.flatten().any(|&one| one == device)
    };
    let (one, other) = (&instance.devices[a], &instance.devices[b]);
    let alike = one.kind == other.kind
        && one.workers == other.workers
        && one.memory == other.memory
        && one.watts == other.watts
        && one.base == other.base;
    let links = &instance.links;
    let mut others = (0..instance.devices.len()).filter(|&c| c != a && c != b);
    !named(a)
        && !named(b)
        && alike
        && links[a][b] == links[b][a]
        && others.all(|c| links[a][c] == links[b][c] && links[c][a] == links[c][b])
}
