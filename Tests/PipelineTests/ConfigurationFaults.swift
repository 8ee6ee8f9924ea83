// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Pipeline

/// What is wrong with a configuration; another error than those is an issue.
func faultsOf(_ read: () throws -> Configuration) -> [ConfigurationFault] {
    do {
        _ = try read()
        return []
    } catch let error as ConfigurationError { return error.faults } catch {
        Issue.record("another error: \(error)")
        return []
    }
}
