// swift-tools-version: 6.0
import PackageDescription

// Wanted before `swift build`: Sources/PosternFFI and Sources/postern_ffiFFI (`cargo xtask bindings` makes both), and the library
// `libpostern.a`, whose folder is said with `-Xlinker -L<folder>`. The static one is linked, so that nothing has to be found when the app starts.
let package = Package(
    name: "Postern",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Postern", targets: ["Postern"])],
    targets: [
        // Generated: the C header.
        .systemLibrary(name: "postern_ffiFFI", path: "Sources/postern_ffiFFI"),
        // Generated: apps do not see it.
        .target(
            name: "PosternFFI",
            dependencies: ["postern_ffiFFI"],
            linkerSettings: [
                .linkedLibrary("postern", .when(platforms: [.iOS, .macOS])),
                // GNU's way to say "the static one", where both kinds lie side by side.
                .linkedLibrary(":libpostern.a", .when(platforms: [.linux])),
            ]
        ),
        // By hand: what apps see.
        .target(name: "Postern", dependencies: ["PosternFFI"]),
        // The library has to be built with the feature test-hooks, as `cargo xtask bindings` does.
        .testTarget(name: "PosternTests", dependencies: ["Postern", "PosternFFI"]),
        // The samples of README.md, compiled.
        .testTarget(name: "PosternSamples", dependencies: ["Postern"]),
    ],
    swiftLanguageModes: [.v6]
)
