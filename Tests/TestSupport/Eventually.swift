// SPDX-License-Identifier: Apache-2.0

/// Waits until the condition holds; false when it does not within the time.
package func eventually(
    within: Duration = .seconds(20), _ condition: @Sendable () throws -> Bool
) async rethrows -> Bool {
    let end = ContinuousClock.now + within
    while try !condition() {
        if ContinuousClock.now > end { return false }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return true
}
