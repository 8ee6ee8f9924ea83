// SPDX-License-Identifier: Apache-2.0

/// Version of the program.
package enum Version {
    package static let number = "0.1.0"
}
