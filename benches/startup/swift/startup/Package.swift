// swift-tools-version: 6.0
import PackageDescription

// In a folder of its own: SwiftPM tells packages apart by the names of their folders, and the SDK is in one called `swift` too.
let package = Package(
    name: "startup",
    platforms: [.macOS(.v12)],
    dependencies: [.package(path: "../../../../bindings/swift")],
    targets: [
        .executableTarget(name: "startup", dependencies: [.product(name: "Postern", package: "swift")])
    ],
    swiftLanguageModes: [.v6]
)
