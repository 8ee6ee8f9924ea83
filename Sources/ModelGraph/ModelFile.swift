// SPDX-License-Identifier: Apache-2.0
import Tensors

package enum ModelFile {
    package static func read(_ path: String) throws -> Model { throw GraphError.inconsistent("not yet") }
}
