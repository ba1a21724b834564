"""Runs models for the search: frames on standard input and output, each a length and bytes.

A request is a model, the numbers of samples and of inputs, and an array per sample and input. The
answer is an empty frame and an array per sample and output, or a frame that says what went wrong.
"""

import io
import struct
import sys

import numpy
import onnxruntime

onnxruntime.set_default_logger_severity(4)
source, sink = sys.stdin.buffer, sys.stdout.buffer


def read():
    head = source.read(4)
    if len(head) < 4:
        sys.exit(0)
    return source.read(struct.unpack("<I", head)[0])


def write(frame):
    sink.write(struct.pack("<I", len(frame)) + frame)


def packed(array):
    file = io.BytesIO()
    numpy.save(file, numpy.ascontiguousarray(array).reshape(numpy.shape(array)))
    return file.getvalue()


def answer(model, samples):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return [[packed(y) for y in session.run(None, dict(zip(names, s)))] for s in samples]


while True:
    model = read()
    count, inputs = struct.unpack("<II", read())
    samples = [[numpy.load(io.BytesIO(read())) for _ in range(inputs)] for _ in range(count)]
    try:
        frames = [b""] + [y for sample in answer(model, samples) for y in sample]
    except Exception as error:
        frames = [str(error).encode() or b"?"]
    for frame in frames:
        write(frame)
    sink.flush()
