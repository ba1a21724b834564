"""The Python side of the comparison harness: one process per measured stage of a peer.

    peer.py ezkl STAGE JOB.json          one stage of EZKL's pipeline, one answer
    peer.py onnxruntime JOB.json         plain inference; answers the commands on standard input

An answer is one JSON line on standard output; everything that a library prints goes to standard
error. Times are taken inside the process around the call alone, without interpreter start-up and
imports. The harness watches time and memory from outside and kills a process that exceeds them.
"""

import asyncio
import inspect
import json
import logging
import os
import resource
import statistics
import sys
import time
from pathlib import Path


class Answers:
    """The original standard output; afterwards file descriptor 1 is standard error."""

    def __init__(self):
        self.lines = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def send(self, **fields):
        self.lines.write(json.dumps(fields) + "\n")
        self.lines.flush()


def peak_bytes():
    """The largest resident set of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


# EZKL -------------------------------------------------------------------------------------------


class Took(logging.Handler):
    """EZKL's own log lines about times."""

    def __init__(self):
        super().__init__()
        self.found = []

    def emit(self, record):
        if " took " in record.getMessage():
            self.found.append(record.getMessage())


def settings(ezkl, job):
    arguments = ezkl.PyRunArgs()
    arguments.input_visibility = "private"
    arguments.param_visibility = "fixed"
    arguments.output_visibility = "public"
    return ezkl.gen_settings(job["model"], job["settings"], py_run_args=arguments)


STAGES = {
    "settings": settings,
    "calibrate": lambda ezkl, job: ezkl.calibrate_settings(
        job["input"], job["model"], job["settings"], "resources"
    ),
    "compile": lambda ezkl, job: ezkl.compile_circuit(
        job["model"], job["circuit"], job["settings"]
    ),
    # From a secret that this process knows: good for measuring, never for use.
    "srs": lambda ezkl, job: ezkl.gen_srs(job["srs"], job["logrows"]),
    "setup": lambda ezkl, job: ezkl.setup(
        job["circuit"], job["vk"], job["pk"], srs_path=job["srs"]
    ),
    "witness": lambda ezkl, job: ezkl.gen_witness(job["input"], job["circuit"], job["witness"]),
    "prove": lambda ezkl, job: ezkl.prove(
        job["witness"], job["circuit"], job["pk"], proof_path=job["proof"], srs_path=job["srs"]
    ),
    "verify": lambda ezkl, job: ezkl.verify(
        job["proof"], job["settings"], job["vk"], srs_path=job["srs"]
    ),
}


def read_json(path):
    return json.loads(Path(path).read_text())


def facts(stage, job):
    """What a stage's files say."""
    if stage == "compile":
        return {"logrows": read_json(job["settings"])["run_args"]["logrows"]}
    if stage == "setup":
        return {f"{key}_bytes": os.path.getsize(job[key]) for key in ("vk", "pk")}
    if stage == "witness":
        outputs = read_json(job["witness"])["pretty_elements"]["rescaled_outputs"]
        return {"outputs": [[float(cell) for cell in output] for output in outputs]}
    if stage == "prove":
        proof = read_json(job["proof"])
        return {"proof_bytes": len(proof["hex_proof"].removeprefix("0x")) // 2}
    return {}


async def timed(call, *arguments):
    """Some of EZKL's functions are coroutines, and all want a running loop."""
    start = time.perf_counter()
    result = call(*arguments)
    if inspect.isawaitable(result):
        result = await result
    return time.perf_counter() - start, result


def run_ezkl(stage, job, answers):
    import ezkl

    took = Took()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger().addHandler(took)
    seconds, result = asyncio.run(timed(STAGES[stage], ezkl, job))
    if result is False:
        sys.exit(f"ezkl: {stage} returned False")
    answers.send(
        version=ezkl.__version__,
        seconds=round(seconds, 9),
        peak_bytes=peak_bytes(),
        took=took.found,
        **facts(stage, job),
    )


# onnxruntime ------------------------------------------------------------------------------------


class Inference:
    """A model with its samples, in a session of a fixed number of threads."""

    def __init__(self, job, threads):
        import numpy
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = threads
        # Idle threads would otherwise spin into the turn of the next system.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = onnxruntime.InferenceSession(
            job["model"], options, providers=["CPUExecutionProvider"]
        )
        kinds = {
            "tensor(float)": numpy.float32,
            "tensor(double)": numpy.float64,
            "tensor(float16)": numpy.float16,
            "tensor(int64)": numpy.int64,
            "tensor(int32)": numpy.int32,
            "tensor(bool)": numpy.bool_,
        }
        stacks = list(numpy.load(job["samples"]).values())
        self.feeds = []
        for cells in zip(*stacks):
            feed = {}
            for port, array in zip(self.session.get_inputs(), cells):
                # A dimension without a number is the batch.
                shape = [n if isinstance(n, int) and n > 0 else 1 for n in port.shape]
                feed[port.name] = array.reshape(shape).astype(kinds[port.type])
            self.feeds.append(feed)

    def outputs(self):
        """One list per sample of its outputs; those that are no arrays of numbers are left out."""
        lists = []
        for feed in self.feeds:
            arrays = [x for x in self.session.run(None, feed) if hasattr(x, "dtype")]
            arrays = [x for x in arrays if x.dtype.kind == "f"]
            lists.append(
                [{"shape": x.shape, "cells": x.astype(float).ravel().tolist()} for x in arrays]
            )
        return lists

    def turn(self, batch, seconds=0.02, least=5, most=200):
        """The median time of running `batch` samples one after the other."""
        batch = [self.feeds[i % len(self.feeds)] for i in range(batch)]
        times = []
        for _ in range(1 + most):
            start = time.perf_counter()
            for feed in batch:
                self.session.run(None, feed)
            times.append(time.perf_counter() - start)
            if len(times) > least and sum(times) > seconds:
                break
        # The first one finds cold caches.
        return statistics.median(times[1:])


def run_onnxruntime(job, answers):
    import onnxruntime

    one = Inference(job, 1)
    same = Inference(job, job["threads"]) if job["threads"] > 1 else one
    answers.send(version=onnxruntime.__version__, peak_bytes=peak_bytes())
    for line in sys.stdin:
        command = json.loads(line)
        if command == "outputs":
            answers.send(outputs=one.outputs())
        elif command == "turn":
            one_s = one.turn(job["batch"])
            same_s = one_s if same is one else same.turn(job["batch"])
            answers.send(
                one_thread_s=round(one_s, 9),
                same_threads_s=round(same_s, 9),
                peak_bytes=peak_bytes(),
            )
        else:
            sys.exit(f"peer.py: no such command: {command}")


def main():
    answers = Answers()
    match sys.argv[1:]:
        case ["ezkl", stage, job]:
            run_ezkl(stage, read_json(job), answers)
        case ["onnxruntime", job]:
            run_onnxruntime(read_json(job), answers)
        case _:
            sys.exit("usage: peer.py ezkl STAGE JOB.json | peer.py onnxruntime JOB.json")


if __name__ == "__main__":
    main()
