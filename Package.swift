// swift-tools-version: 6.2
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

// Warnings are errors where nobody looks at them: in CI.
let strict: [SwiftSetting] = Context.environment["CI"] == nil ? [] : [.treatAllWarnings(as: .error)]

/// Kernels are compiled with optimization in debug builds too, or the tests would take minutes. Contraction into fused
/// multiply-adds is off: the compiler must not change what the scalar references compute.
let kernelFlags: [CSetting] = [.unsafeFlags(["-O3", "-ffp-contract=off", "-Wall", "-Wextra"])]

func library(_ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: "\(name)Tests", dependencies: dependencies + ["TestSupport"], swiftSettings: strict)
}

let package = Package(
    name: "brokerside",
    products: [.executable(name: "brokerside", targets: ["brokerside"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    ],
    targets: [
        // Floor 0
        .target(name: "CKernels", cSettings: kernelFlags),
        .systemLibrary(name: "CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),
        .target(
            name: "CJPEG", cSettings: [.unsafeFlags(["-O2", "-Wall", "-Wextra"])],
            linkerSettings: [.linkedLibrary("jpeg")]),
        .target(name: "CDemoDetector", exclude: ["demo-detector.bsm"]),
        // Floor 1
        library("Tensors"),
        library("Streaming"),
        // Floor 2
        library("MQTT", ["Streaming", "CMosquitto"]),
        library("Vision", ["Tensors", "CJPEG"]),
        library(
            "Telemetry", ["Streaming", .product(name: "SwiftProtobuf", package: "swift-protobuf")],
            exclude: ["sparkplug.proto"]),
        library("Anomaly"),
        library("Alerts"),
        library("ModelGraph", ["Tensors", .product(name: "Crypto", package: "swift-crypto")]),
        library(
            "ONNX", ["ModelGraph", .product(name: "SwiftProtobuf", package: "swift-protobuf")], exclude: ["onnx.proto"]),
        library("TFLite", ["ModelGraph", "Tensors"]),
        // A test counts that a run asks for no memory, which holds for optimized code only.
        .target(
            name: "Inference", dependencies: ["ModelGraph", "Tensors", "CKernels"],
            swiftSettings: strict + [.unsafeFlags(["-O"])]),
        // Rendering without optimization takes 50 times as long: too slow for tests in debug builds.
        .target(
            name: "Simulation", dependencies: ["Tensors", "Vision", "CDemoDetector"],
            swiftSettings: strict + [.unsafeFlags(["-O"])]),
        // Floor 3
        library("ModelCompression", ["Inference", "ModelGraph", "Tensors"]),
        library(
            "Pipeline",
            [
                "Streaming", "Tensors", "MQTT", "Vision", "Telemetry", "Anomaly", "Alerts", "ModelGraph", "ONNX",
                "TFLite", "Inference",
                .product(name: "Yams", package: "Yams"), .product(name: "Logging", package: "swift-log"),
                .product(name: "Crypto", package: "swift-crypto"), .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        // Floor 4
        .executableTarget(
            name: "brokerside",
            dependencies: [
                "Pipeline", "ModelCompression", "Simulation", "Telemetry", "Anomaly", "ONNX", "TFLite", "Inference",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                "Pipeline", "Simulation", "Streaming", "MQTT", "Vision", "CKernels",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        // Tests
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
        tests("Streaming", ["Streaming"]),
        tests("MQTT", ["MQTT", "Streaming", "Simulation"]),
        tests("Vision", ["Vision", "Tensors"]),
        tests("Telemetry", ["Telemetry", "Streaming", .product(name: "SwiftProtobuf", package: "swift-protobuf")]),
        tests("Anomaly", ["Anomaly"]),
        tests("Alerts", ["Alerts"]),
        .target(name: "CAllocations", path: "Tests/CAllocations"),
        tests("ModelGraph", ["ModelGraph", "Tensors", "ONNX", "TFLite", "Inference"]),
        tests("Inference", ["Inference", "ModelGraph", "Tensors", "CKernels", "ModelCompression", "CAllocations"]),
        tests("Fuzz", ["ModelGraph", "ONNX", "TFLite", "Inference", "ModelCompression", "Tensors"]),
        tests("Simulation", ["Simulation", "Vision"]),
        tests("Pipeline", ["Pipeline", "Simulation", "ModelCompression", "Telemetry", "Benchmarks"]),
    ],
    swiftLanguageModes: [.v6]
)
