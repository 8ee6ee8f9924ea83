// SPDX-License-Identifier: Apache-2.0

import CDemoDetector

/// The detector that comes with the demo: person, vehicle and parcel in simulated frames, and nothing else. It was trained
/// by `Config/training/train.py`.
package enum DemoDetector {
    /// A `.bsm` file, part of the program's read-only data.
    package static var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: demo_detector_bytes(), count: demo_detector_count())
    }
}
