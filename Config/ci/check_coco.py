#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares `brokerside model eval` with pycocotools on made-up labels and detections: all twelve numbers within 1e-6.

    check_coco.py PATH_TO_BROKERSIDE [CASES]

Without pycocotools (a package of PyPI) it says so and succeeds.
"""

import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile

NAMES = [
    "average_precision", "average_precision50", "average_precision75", "average_precision_small",
    "average_precision_medium", "average_precision_large", "average_recall1", "average_recall10", "average_recall100",
    "average_recall_small", "average_recall_medium", "average_recall_large",
]


def make(seed):
    """Labels and detections with crowds, ties, doubles, empty pictures and categories, and more than 100 per picture."""
    r = random.Random(seed)
    categories = [{"id": 3 * i + 1, "name": f"c{i}"} for i in range(r.randint(1, 6))]
    images, annotations, results = [], [], []

    def box(scale):
        w, h = r.uniform(1, scale), r.uniform(1, scale)
        return [r.uniform(0, 640 - w), r.uniform(0, 480 - h), w, h]

    for image in r.sample(range(1, 1000), r.randint(1, 12)):
        images.append({"id": image, "file_name": f"{image}.jpg", "width": 640, "height": 480})
        for _ in range(r.choice([0, 1, 3, 20])):
            b = box(r.choice([20, 60, 200, 400]))
            category = r.choice(categories)["id"]
            annotations.append({
                "id": len(annotations) + 1, "image_id": image, "category_id": category, "bbox": b,
                "area": b[2] * b[3] * r.uniform(0.3, 1), "iscrowd": int(r.random() < 0.1)})
            for _ in range(r.choice([0, 1, 1, 2])):
                near = [b[0] + r.gauss(0, b[2] / 12), b[1] + r.gauss(0, b[3] / 12), b[2] * r.uniform(0.8, 1.2),
                        b[3] * r.uniform(0.8, 1.2)]
                results.append({
                    "image_id": image, "category_id": category if r.random() < 0.9 else r.choice(categories)["id"],
                    "bbox": near if r.random() < 0.9 else b, "score": round(r.random(), r.choice([1, 6]))})
        for _ in range(r.choice([0, 5, 150])):
            results.append({
                "image_id": image, "category_id": r.choice(categories)["id"], "bbox": box(200),
                "score": round(r.random() * 0.7, r.choice([1, 6]))})
    r.shuffle(results)
    return {"images": images, "annotations": annotations, "categories": categories}, results


def reference(labels, results):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(labels)
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def main():
    program, cases = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20
    try:
        import pycocotools  # noqa: F401
    except ImportError:
        print("pycocotools is not there: nothing is compared")
        return 0
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(cases):
            labels, results = make(seed)
            if not results:
                continue
            paths = [os.path.join(folder, name) for name in ("labels.json", "results.json")]
            for path, value in zip(paths, (labels, results)):
                with open(path, "w") as file:
                    json.dump(value, file)
            output = subprocess.run(
                [program, "model", "eval", "--labels", paths[0], "--results", paths[1], "--json"], check=True,
                capture_output=True).stdout
            ours = json.loads(output)["coco"]
            for name, expected in zip(NAMES, reference(*paths)):
                difference = abs(ours[name] - expected)
                worst = max(worst, difference)
                if difference > 1e-6:
                    print(f"case {seed}: {name} is {ours[name]}, pycocotools says {expected}")
                    return 1
    print(f"{cases} cases, largest difference {worst:.2e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
