// SPDX-License-Identifier: Apache-2.0

import CJPEG

/// Why a picture gave no pixels. A fault of the picture, never of the program: count it and go on.
package enum JPEGError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No bytes.
    case empty
    /// Does not begin with a start-of-image marker.
    case notJPEG
    /// The data ends before the picture does. A missing end-of-image marker alone is none: the picture is whole.
    case truncated(String)
    /// Contradicts the standard, or damage that reaches more than an eighth of the picture.
    case corrupt(String)
    /// More bytes than `JPEGLimits.bytes`.
    case tooManyBytes(Int, limit: Int)
    /// Width, height, pixels or working memory above the limits.
    case tooLarge(String)
    /// More scans, or scans times pixels, than the limits.
    case tooManyScans
    /// Legal but not decoded here: lossless, hierarchical, 12 bit, two or more than four components, height by DNL.
    case unsupported(String)
    /// The machine has no memory for it.
    case outOfMemory

    /// Stable short code, for counters and results.
    package var reason: String {
        switch self {
        case .empty: "empty"
        case .notJPEG: "not_jpeg"
        case .truncated: "truncated"
        case .corrupt: "corrupt"
        case .tooManyBytes: "too_many_bytes"
        case .tooLarge: "too_large"
        case .tooManyScans: "too_many_scans"
        case .unsupported: "unsupported"
        case .outOfMemory: "out_of_memory"
        }
    }

    /// Every reason there is, for counters that exist before their first event.
    package static let reasons = [
        "empty", "not_jpeg", "truncated", "corrupt", "too_many_bytes", "too_large", "too_many_scans", "unsupported",
        "out_of_memory",
    ]

    package var description: String {
        switch self {
        case .empty: "the payload is empty"
        case .notJPEG: "not a JPEG: it does not begin with a start-of-image marker"
        case .truncated(let detail): "the JPEG is cut off: \(detail)"
        case .corrupt(let detail): "the JPEG is damaged: \(detail)"
        case .tooManyBytes(let count, let limit): "the JPEG has \(count) bytes, above the limit of \(limit)"
        case .tooLarge(let detail): "the JPEG is larger than the limits allow: \(detail)"
        case .tooManyScans: "the JPEG has more scans than the limits allow"
        case .unsupported(let detail): "this kind of JPEG is not supported: \(detail)"
        case .outOfMemory: "no memory to decode the JPEG"
        }
    }

    init(_ status: cjpeg_status, message: String, byteCount: Int, limits: JPEGLimits) {
        switch status {
        case CJPEG_EMPTY: self = .empty
        case CJPEG_NOT_JPEG: self = .notJPEG
        case CJPEG_TRUNCATED: self = .truncated(message)
        case CJPEG_TOO_MANY_BYTES: self = .tooManyBytes(byteCount, limit: limits.bytes)
        case CJPEG_TOO_LARGE: self = .tooLarge(message)
        case CJPEG_TOO_MANY_SCANS: self = .tooManyScans
        case CJPEG_UNSUPPORTED: self = .unsupported(message)
        case CJPEG_OUT_OF_MEMORY: self = .outOfMemory
        default: self = .corrupt(message)
        }
    }
}
