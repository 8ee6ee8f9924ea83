// SPDX-License-Identifier: Apache-2.0
import Foundation
import Tensors
import Testing

@Suite struct NumPyFileTests {
    private func file(_ header: String, _ body: [UInt8], version: UInt8 = 1) -> Data {
        let length = header.utf8.count
        return Data([0x93] + Array("NUMPY".utf8) + [version, 0, UInt8(length & 255), UInt8(length >> 8)])
            + Data(header.utf8) + Data(body)
    }

    @Test func whatIsWrittenIsRead() throws {
        for shape: Shape in [[], [1], [3], [2, 3], [0, 4]] {
            let tensor = Tensor(shape, (0..<shape.count).map { Int32($0) })
            let data = NumPyFile.encode(tensor)
            #expect((data.count - shape.count * 4) % 64 == 0)
            let read = try NumPyFile.decode(data)
            #expect(read.shape == shape && read.array(of: Int32.self) == tensor.array(of: Int32.self))
        }
    }

    @Test func fortranOrderIsTurned() throws {
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }\n"
        #expect(try NumPyFile.decode(file(header, [1, 2, 3, 4, 5, 6])).array(of: UInt8.self) == [1, 3, 5, 2, 4, 6])
    }

    @Test(arguments: [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "{'descr': '<f4', 'shape': (1,), }",
        "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", "",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1",
    ])
    func hostileHeadersAreRefused(header: String) {
        #expect(throws: NumPyFile.Fault.self) { try NumPyFile.decode(file(header, [0, 0, 0, 0])) }
    }

    @Test func everyTruncationIsRefused() {
        let data = NumPyFile.encode(Tensor([3], [Float(1), 2, 3]))
        for count in 0..<data.count {
            #expect(throws: NumPyFile.Fault.self) { try NumPyFile.decode(data.prefix(count)) }
        }
    }
}
