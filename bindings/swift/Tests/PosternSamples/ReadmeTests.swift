import Foundation
import XCTest

/// The guide's samples are those of `Samples.swift`, which the compiler has seen.
final class ReadmeTests: XCTestCase {
    private let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

    private func lines(_ path: String) throws -> [Substring] {
        try String(contentsOf: folder.appendingPathComponent(path), encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// The lines between `begin` and `end`, block by block, without the indentation that all of a block share.
    private func blocks(_ lines: [Substring], from begin: (Substring) -> Bool, to end: Substring) -> [String] {
        var blocks: [[Substring]] = []
        var isInside = false
        for line in lines {
            let word = line.drop { $0 == " " }
            if isInside, word == end {
                isInside = false
            } else if isInside {
                blocks[blocks.count - 1].append(line)
            } else if begin(word) {
                isInside = true
                blocks.append([])
            }
        }
        return blocks.map { block in
            let indentation = block.filter { !$0.isEmpty }.map { $0.prefix { $0 == " " }.count }.min() ?? 0
            return block.map { $0.dropFirst(indentation) }.joined(separator: "\n")
        }
    }

    func testEverySampleOfTheGuideIsCompiled() throws {
        let compiled = blocks(try lines("Samples.swift"), from: { $0.hasPrefix("// sample: ") }, to: "// end")
        let shown = blocks(try lines("../../README.md"), from: { $0 == "```swift" }, to: "```")
        XCTAssertEqual(compiled.count, 7)
        XCTAssertEqual(shown.sorted(), compiled.sorted())
    }
}
