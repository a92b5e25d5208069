"""Peers of the bench `search`: one a process, asked line by line.

    search.py NAME  <-  FUNCTION DIMENSIONS EVALUATIONS SEEDS
                   ->  SECONDS BEST... | EVALUATIONS_TO_TARGET...

`inf` where the target was not reached. NAME: `pyswarms`, `pyswarms-constriction`, `spso-2011`,
`cma`, `cma-separable`. Prints `ready`, or ends where a package is missing.
"""

import logging
import sys
import time

try:
    import numpy as np
except ImportError:
    sys.exit(0)

TARGET = 1e-8
PARTICLES = 40
SHIFT = 418.9828872724338


def sphere(x):
    return (x * x).sum(1)


def rosenbrock(x):
    a, b = x[:, :-1], x[:, 1:]
    return (100 * (b - a * a) ** 2 + (1 - a) ** 2).sum(1)


def rastrigin(x):
    return (x * x - 10 * np.cos(2 * np.pi * x) + 10).sum(1)


def ackley(x):
    squares, waves = (x * x).mean(1), np.cos(2 * np.pi * x).mean(1)
    return 20 - 20 * np.exp(-0.2 * np.sqrt(squares)) + np.e - np.exp(waves)


def griewank(x):
    waves = np.cos(x / np.sqrt(np.arange(1, x.shape[1] + 1)))
    return 1 + (x * x).sum(1) / 4000 - waves.prod(1)


def schwefel(x):
    return SHIFT * x.shape[1] - (x * np.sin(np.sqrt(np.abs(x)))).sum(1)


REACH = {
    "sphere": 100.0,
    "rosenbrock": 30.0,
    "rastrigin": 5.12,
    "ackley": 32.0,
    "griewank": 600.0,
    "schwefel": 500.0,
}


def swarms(options):
    import pyswarms

    logging.disable(logging.CRITICAL)

    def run(function, reach, n, evaluations, seed):
        np.random.seed(seed)
        bounds = (np.full(n, -reach), np.full(n, reach))
        swarm = pyswarms.single.GlobalBestPSO(
            n_particles=PARTICLES, dimensions=n, options=options, bounds=bounds
        )
        best, _ = swarm.optimize(function, iters=evaluations // PARTICLES, verbose=False)
        hits = np.flatnonzero(np.array(swarm.cost_history) <= TARGET)
        return best, (hits[0] + 1) * PARTICLES if len(hits) else np.inf

    return run


def spso_2011():
    """Clerc's published rules, all particles at once."""
    w, c, informed = 1 / (2 * np.log(2)), 0.5 + np.log(2), 3

    def run(function, reach, n, evaluations, seed):
        random = np.random.default_rng(seed)
        rows = np.arange(PARTICLES)
        x = random.uniform(-reach, reach, (PARTICLES, n))
        v = random.uniform(-reach, reach, (PARTICLES, n)) - x
        p, fitness = x.copy(), np.full(PARTICLES, np.inf)
        informs = None
        best, hit = np.inf, np.inf
        for generation in range(evaluations // PARTICLES):
            values = function(x)
            better = values < fitness
            p[better], fitness[better] = x[better], values[better]
            improved = fitness.min() < best
            best = min(best, fitness.min())
            if best <= TARGET and hit == np.inf:
                hit = (generation + 1) * PARTICLES
            if informs is None or not improved:
                informs = np.eye(PARTICLES, dtype=bool)
                informs[np.repeat(rows, informed), random.integers(0, PARTICLES, PARTICLES * informed)] = True
            # Column j: who informs j.
            leader = np.where(informs, fitness[:, None], np.inf).argmin(0)
            alone = (fitness[leader] >= fitness)[:, None]
            near, far = x + c * (p - x), x + c * (p[leader] - x)
            centre = np.where(alone, (x + near) / 2, (x + near + far) / 3)
            radius = np.linalg.norm(centre - x, axis=1, keepdims=True)
            direction = random.standard_normal((PARTICLES, n))
            direction /= np.linalg.norm(direction, axis=1, keepdims=True)
            point = centre + direction * radius * random.random((PARTICLES, 1))
            v = w * v + point - x
            x = x + v
            outside = np.abs(x) > reach
            x = np.clip(x, -reach, reach)
            v[outside] *= -0.5
        return best, hit

    return run


def strategy(separable):
    import cma

    def run(function, reach, n, evaluations, seed):
        start = np.random.default_rng(seed).uniform(-reach, reach, n)
        options = {
            "seed": seed + 1,
            "verbose": -9,
            "bounds": [-reach, reach],
            "CMA_diagonal": separable,
        }
        strategy = cma.CMAEvolutionStrategy(start, 0.6 * reach, options)
        best, hit, used = np.inf, np.inf, 0
        while used + strategy.popsize <= evaluations:
            points = strategy.ask()
            values = function(np.asarray(points))
            strategy.tell(points, list(values))
            used += strategy.popsize
            best = min(best, values.min())
            if best <= TARGET and hit == np.inf:
                hit = used
        return best, hit

    return run


def main():
    makers = {
        "pyswarms": lambda: swarms({"c1": 0.5, "c2": 0.3, "w": 0.9}),
        "pyswarms-constriction": lambda: swarms({"c1": 1.496, "c2": 1.496, "w": 0.7298}),
        "spso-2011": spso_2011,
        "cma": lambda: strategy(False),
        "cma-separable": lambda: strategy(True),
    }
    try:
        run = makers[sys.argv[1]]()
    except ImportError:
        return
    print("ready", flush=True)
    for line in sys.stdin:
        name, n, evaluations, seeds = line.split()
        function, reach = globals()[name], REACH[name]
        start = time.perf_counter()
        with np.errstate(all="ignore"):
            found = [
                run(function, reach, int(n), int(evaluations), seed) for seed in range(int(seeds))
            ]
        seconds = time.perf_counter() - start
        bests = " ".join(repr(float(best)) for best, _ in found)
        hits = " ".join(repr(float(hit)) for _, hit in found)
        print(seconds, bests, "|", hits, flush=True)


main()
