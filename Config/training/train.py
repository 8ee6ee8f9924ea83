# SPDX-License-Identifier: Apache-2.0
"""Trains the demo's detector on synthetic frames and writes it as ONNX.

    python3 -m venv venv && venv/bin/pip install -r Config/training/requirements.txt
    swift build -c release
    venv/bin/python Config/training/train.py --brokerside .build/release/brokerside --output detector.onnx

Then quantize it with frames that it was not judged on, and build again: the program carries the file.

    .build/release/brokerside demo export --output calibration --count 150 --seed 2000001
    .build/release/brokerside model import detector.onnx --output Sources/CDemoDetector/demo-detector.bsm \\
        --name demo-detector --labels person,vehicle,parcel --channels rgb --fit stretch --mean 0 \\
        --scale 0.00392156862745098 --calibrate calibration

Frames come from `brokerside demo export`, so the network learns the very scenes that `brokerside demo` shows (other
places and objects: the seeds differ). The network is anchor-free with one output [1, cells, 5 + classes], cells over the
strides 8, 16, 32, row by row; per cell x, y, log width, log height in units of the stride, objectness, class scores (after
the sigmoid). Input [1, 3, 192, 256]: RGB / 255, the frame stretched to that size.

One CPU core trains it in 20 to 35 minutes. Measured on 1000 unseen frames at an overlap of 0.5 and a score of 0.5:
precision 0.980, recall 0.945, the same in float and in 8 bits. From the same seed, frames and PyTorch comes the same network.
"""

import argparse
import json
import pathlib
import random
import subprocess
import time

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

WIDTH, HEIGHT = 256, 192
STRIDES = (8, 16, 32)
# Larger side, in pixels of the input, of the objects that the cells of a stride answer for. They overlap.
SIZE_RANGES = ((0, 44), (30, 96), (76, 10_000))
CLASSES = ("person", "vehicle", "parcel")


# --- Frames ---------------------------------------------------------------------------------------------------------


def export_frames(program, directory, count, seed):
    """Runs `brokerside demo export` unless the directory already holds its result."""
    if not (directory / "labels.json").exists():
        command = [program, "demo", "export", "--output", directory, "--count", count, "--seed", seed]
        subprocess.run([str(part) for part in command], check=True)


def shrink(jpeg, generator):
    """Decodes to the input's size the ways a decoder may do it: scaled while decoding or not, smoothed or not."""
    choice = generator.integers(3)
    if choice == 0:
        small = cv2.imdecode(jpeg, cv2.IMREAD_REDUCED_COLOR_2)
        if small.shape[0] >= HEIGHT and small.shape[1] >= WIDTH:
            return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA if choice == 1 else cv2.INTER_LINEAR)


def load(directory, seed):
    """Images [N, HEIGHT, WIDTH, 3] u8 RGB; per image an array [objects, 6] of class, x0, y0, x1, y1, ignored."""
    labels = json.loads((directory / "labels.json").read_text())
    by_image = {image["id"]: [] for image in labels["images"]}
    for note in labels["annotations"]:
        by_image[note["image_id"]].append(note)
    generator = np.random.default_rng(seed)
    images = np.empty((len(labels["images"]), HEIGHT, WIDTH, 3), np.uint8)
    objects = []
    for index, image in enumerate(labels["images"]):
        jpeg = np.fromfile(directory / image["file_name"], np.uint8)
        images[index] = shrink(jpeg, generator)[:, :, ::-1]
        sx, sy = WIDTH / image["width"], HEIGHT / image["height"]
        rows = []
        for note in by_image[image["id"]]:
            x, y, w, h = note["bbox"]
            rows.append((note["category_id"], x * sx, y * sy, (x + w) * sx, (y + h) * sy, float(note["ignore"])))
        objects.append(np.array(rows, np.float32).reshape(-1, 6))
    return images, objects


def augment(image, objects, generator):
    """Mirrors, moves, scales, and changes light and colours."""
    objects = objects.copy()
    if generator.random() < 0.5:
        image = image[:, ::-1]
        objects[:, [1, 3]] = WIDTH - objects[:, [3, 1]]
    if generator.random() < 0.6:
        scale = np.exp(generator.uniform(-0.25, 0.3))
        dx = generator.uniform(-0.12, 0.12) * WIDTH + (1 - scale) * WIDTH / 2
        dy = generator.uniform(-0.12, 0.12) * HEIGHT + (1 - scale) * HEIGHT / 2
        matrix = np.array([[scale, 0, dx], [0, scale, dy]], np.float32)
        image = cv2.warpAffine(
            np.ascontiguousarray(image), matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT if generator.random() < 0.3 else cv2.BORDER_CONSTANT, borderValue=(114,) * 3)
        objects[:, [1, 3]] = objects[:, [1, 3]] * scale + dx
        objects[:, [2, 4]] = objects[:, [2, 4]] * scale + dy
        whole = (objects[:, 3] - objects[:, 1]) * (objects[:, 4] - objects[:, 2])
        objects[:, [1, 3]] = objects[:, [1, 3]].clip(0, WIDTH)
        objects[:, [2, 4]] = objects[:, [2, 4]].clip(0, HEIGHT)
        inside = (objects[:, 3] - objects[:, 1]) * (objects[:, 4] - objects[:, 2])
        objects = objects[inside > 1]
        share = (inside / np.maximum(whole, 1e-3))[inside > 1]
        objects[(share < 0.4) | (objects[:, 4] - objects[:, 2] < 5), 5] = 1
    tint = generator.uniform(0.75, 1.25) * generator.uniform(0.94, 1.06, 3)
    image = image * tint.astype(np.float32) + np.float32(generator.uniform(-10, 10))
    return image.clip(0, 255), objects


# --- Network --------------------------------------------------------------------------------------------------------


def conv(inputs, outputs, stride=1, kernel=3):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class Detector(nn.Module):
    """0.33 M parameters, 64 million multiply-adds per frame."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 2), conv(16, 16, 2))
        self.stage8 = nn.Sequential(conv(16, 32, 2), conv(32, 32))
        self.stage16 = nn.Sequential(conv(32, 64, 2), conv(64, 64))
        self.stage32 = nn.Sequential(conv(64, 96, 2), conv(96, 96))
        self.down16 = conv(96, 64, kernel=1)
        self.down8 = conv(64, 32, kernel=1)
        self.box_heads = nn.ModuleList(conv(width, 32) for width in (32, 64, 96))
        self.score_heads = nn.ModuleList(conv(width, 32) for width in (32, 64, 96))
        self.boxes = nn.ModuleList(nn.Conv2d(32, 4, 1) for _ in STRIDES)
        self.scores = nn.ModuleList(nn.Conv2d(32, 1 + len(CLASSES), 1) for _ in STRIDES)
        for layer in self.scores:
            nn.init.constant_(layer.bias, -3.5)

    def levels(self, x):
        """Per stride, boxes [N, 4, H, W] and logits [N, 1 + classes, H, W]."""
        eight = self.stage8(self.stem(x))
        sixteen = self.stage16(eight)
        thirtytwo = self.stage32(sixteen)
        sixteen = sixteen + F.interpolate(self.down16(thirtytwo), scale_factor=2, mode="nearest")
        eight = eight + F.interpolate(self.down8(sixteen), scale_factor=2, mode="nearest")
        for index, feature in enumerate((eight, sixteen, thirtytwo)):
            yield self.boxes[index](self.box_heads[index](feature)), self.scores[index](self.score_heads[index](feature))

    def forward(self, x):
        """[N, 3, HEIGHT, WIDTH] in 0...1 to [N, cells, 5 + classes]."""
        levels = [
            torch.cat((boxes, scores.sigmoid()), 1).reshape(-1, 5 + len(CLASSES), HEIGHT // stride * (WIDTH // stride))
            for stride, (boxes, scores) in zip(STRIDES, self.levels(x))
        ]
        return torch.cat(levels, 2).transpose(1, 2)

    def raw(self, x):
        """Boxes [N, cells, 4] and logits [N, cells, 1 + classes]."""
        boxes, scores = zip(*((b.flatten(2), s.flatten(2)) for b, s in self.levels(x)))
        return torch.cat(boxes, 2).transpose(1, 2), torch.cat(scores, 2).transpose(1, 2)


def grid():
    """Per cell: column, row, stride; [cells, 3]."""
    cells = []
    for stride in STRIDES:
        rows, columns = np.mgrid[0 : HEIGHT // stride, 0 : WIDTH // stride]
        cells.append(np.stack((columns.ravel(), rows.ravel(), np.full(rows.size, stride)), 1))
    return np.concatenate(cells).astype(np.float32)


GRID = grid()


def decode(boxes):
    """Grid predictions [..., cells, 4] to x0, y0, x1, y1 in pixels of the input."""
    cells = torch.from_numpy(GRID)
    centre = (boxes[..., :2] + cells[:, :2]) * cells[:, 2:]
    half = boxes[..., 2:].clamp(-4, 6).exp() * cells[:, 2:] / 2
    return torch.cat((centre - half, centre + half), -1)


def assign(objects):
    """For each cell the index of its object, -1 for none, -2 where an ignored object is and nothing is asked."""
    target = np.full(len(GRID), -1, np.int64)
    centres = (GRID[:, :2] + 0.5) * GRID[:, 2:]
    for row in objects[objects[:, 5] > 0]:
        inside = (centres[:, 0] > row[1]) & (centres[:, 0] < row[3]) & (centres[:, 1] > row[2]) & (centres[:, 1] < row[4])
        near = np.abs(centres - [(row[1] + row[3]) / 2, (row[2] + row[4]) / 2]).max(1) < GRID[:, 2]
        target[inside | near] = -2
    order = np.argsort(-(objects[:, 3] - objects[:, 1]) * (objects[:, 4] - objects[:, 2]))
    for index in order:  # the smaller objects last: they win a contested cell
        row = objects[index]
        if row[5] > 0:
            continue
        centre = np.array(((row[1] + row[3]) / 2, (row[2] + row[4]) / 2))
        size = max(row[3] - row[1], row[4] - row[2])
        for stride, (low, high) in zip(STRIDES, SIZE_RANGES):
            if low <= size <= high:
                away = np.abs(centres - centre).max(1)
                target[(GRID[:, 2] == stride) & (away < stride)] = index
    return target


def giou(a, b):
    top = torch.maximum(a[:, :2], b[:, :2])
    bottom = torch.minimum(a[:, 2:], b[:, 2:])
    common = (bottom - top).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - common
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    iou = common / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


def loss_of(model, images, batch_objects):
    boxes, logits = model.raw(images)
    assigned = np.stack([assign(objects) for objects in batch_objects])
    sample, cell = np.nonzero(assigned >= 0)
    truth = np.array([batch_objects[s][assigned[s, c]] for s, c in zip(sample, cell)], np.float32).reshape(-1, 6)
    wanted = torch.zeros_like(logits)
    positives = max(len(sample), 1)
    box_loss = boxes.sum() * 0
    class_loss = box_loss
    if len(sample):
        iou, generalized = giou(decode(boxes)[sample, cell], torch.from_numpy(truth[:, 1:5].copy()))
        box_loss = (1 - generalized).sum() / positives
        classes = torch.zeros(len(sample), len(CLASSES))
        classes[torch.arange(len(sample)), torch.from_numpy(truth[:, 0]).long()] = 1
        class_loss = F.binary_cross_entropy_with_logits(logits[sample, cell, 1:], classes, reduction="sum") / positives
        # Objectness says how well the box fits, so that the best of neighbouring cells survives: 0.5 at an overlap of 0.55.
        wanted[sample, cell, 0] = ((iou.detach() - 0.25) / 0.6).clamp(0, 1)
    asked = torch.from_numpy((assigned > -2).astype(np.float32))
    object_loss = F.binary_cross_entropy_with_logits(logits[..., 0], wanted[..., 0], reduction="none")
    return 4 * box_loss + class_loss + (object_loss * asked).sum() / positives


# --- Judgement ------------------------------------------------------------------------------------------------------


def overlaps(a, b):
    top = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom = np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = (bottom - top).clip(0).prod(2)
    area = lambda boxes: (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return common / np.maximum(area(a)[:, None] + area(b)[None] - common, 1e-6)


def detections(output, threshold):
    """Output [cells, 5 + classes] to rows of class, x0, y0, x1, y1, score after suppression per class."""
    boxes = decode(torch.from_numpy(output[:, :4])).numpy()
    scores = output[:, 4:5] * output[:, 5:]
    rows = []
    for index in range(len(CLASSES)):
        order = [c for c in np.argsort(-scores[:, index]) if scores[c, index] >= threshold]
        while order:
            best, order = order[0], order[1:]
            rows.append((index, *boxes[best], scores[best, index]))
            if order:
                free = overlaps(boxes[best : best + 1], boxes[order])[0] < 0.5
                order = [c for c, keep in zip(order, free) if keep]
    return np.array(rows, np.float32).reshape(-1, 6)


def judge(outputs, truth, threshold):
    """Precision and recall per class and overall, at an overlap of 0.5."""
    hits, false, missed = np.zeros(3), np.zeros(3), np.zeros(3)
    for output, objects in zip(outputs, truth):
        found = detections(output, threshold)
        for index in range(len(CLASSES)):
            mine = found[found[:, 0] == index]
            real = objects[objects[:, 0] == index]
            taken = np.zeros(len(real), bool)
            for row in mine[np.argsort(-mine[:, 5])]:
                if len(real):
                    iou = overlaps(row[None, 1:5], real[:, 1:5])[0]
                    open_iou = np.where(taken | (real[:, 5] > 0), 0, iou)
                    if open_iou.max() >= 0.5:
                        taken[open_iou.argmax()] = True
                        hits[index] += 1
                        continue
                    if (iou * (real[:, 5] > 0)).max() >= 0.5 or near_ignored(row, real):
                        continue
                false[index] += 1
            missed[index] += (~taken & (real[:, 5] == 0)).sum()
    precision = lambda h, f: h / max(h + f, 1)
    report = {"threshold": threshold, "precision": precision(hits.sum(), false.sum()),
              "recall": precision(hits.sum(), missed.sum())}
    for index, name in enumerate(CLASSES):
        report[name] = [round(precision(hits[index], false[index]), 4), round(precision(hits[index], missed[index]), 4)]
    return report


def near_ignored(row, real):
    """A detection most of which lies in an ignored object is about that object."""
    ignored = real[real[:, 5] > 0]
    if not len(ignored):
        return False
    top = np.maximum(row[1:3], ignored[:, 1:3])
    bottom = np.minimum(row[3:5], ignored[:, 3:5])
    return ((bottom - top).clip(0).prod(1) / max((row[3] - row[1]) * (row[4] - row[2]), 1e-6)).max() > 0.5


def run(model, images, batch=16):
    model.eval()
    with torch.no_grad():
        parts = [
            model(torch.from_numpy(images[i : i + batch]).permute(0, 3, 1, 2).float() / 255)
            for i in range(0, len(images), batch)
        ]
    return torch.cat(parts).numpy()


# --- Training -------------------------------------------------------------------------------------------------------


def train(arguments):
    torch.manual_seed(arguments.seed)
    random.seed(arguments.seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(arguments.threads)
    generator = np.random.default_rng(arguments.seed)
    work = pathlib.Path(arguments.work)
    if arguments.brokerside:
        export_frames(arguments.brokerside, work / "train", arguments.frames, arguments.seed)
        export_frames(arguments.brokerside, work / "val", 400, arguments.seed + 1_000_000)
    images, objects = load(work / "train", arguments.seed)
    unseen, unseen_objects = load(work / "val", arguments.seed)

    model = Detector().to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=arguments.rate, weight_decay=0.01)
    steps = arguments.epochs * (len(images) // arguments.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, arguments.rate, total_steps=steps, pct_start=0.08)
    started, step = time.time(), 0
    for epoch in range(arguments.epochs):
        model.train()
        order, total = generator.permutation(len(images)), 0.0
        for start in range(0, len(order) - arguments.batch + 1, arguments.batch):
            samples = [augment(images[i], objects[i], generator) for i in order[start : start + arguments.batch]]
            batch = torch.from_numpy(np.stack([image for image, _ in samples])).permute(0, 3, 1, 2).float() / 255
            loss = loss_of(model, batch, [found for _, found in samples])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 10)
            optimizer.step()
            schedule.step()
            average.update_parameters(model)
            total += loss.item()
            step += 1
            if step % 50 == 0:
                print(f"step {step}/{steps} loss {loss.item():.3f} {time.time() - started:.0f} s", flush=True)
        report = judge(run(average.module, unseen), unseen_objects, arguments.threshold)
        print(f"epoch {epoch + 1}: loss {total / (len(order) // arguments.batch):.3f}", json.dumps(report), flush=True)
        write(average.module, arguments.output)
    for threshold in (0.3, 0.4, 0.5, 0.6):
        print(json.dumps(judge(run(average.module, unseen), unseen_objects, threshold)), flush=True)


def write(model, path):
    model.eval()
    torch.onnx.export(
        model, (torch.zeros(1, 3, HEIGHT, WIDTH),), path, input_names=["images"], output_names=["output"],
        opset_version=17, dynamo=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Train the demo's detector.")
    parser.add_argument("--brokerside", help="the program that exports frames; without it they are already in --work")
    parser.add_argument("--work", default="training", help="directory for exported frames")
    parser.add_argument("--output", default="detector.onnx")
    parser.add_argument("--frames", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    train(parser.parse_args())
