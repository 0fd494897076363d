// What the SDK's first call costs a fresh process: building it, and reading the session that is kept.
//
//   startup            starts itself as many fresh processes and prints the medians in microseconds
//   startup once       the measurement itself: three numbers on a line
//   startup nothing    the same program, which leaves the SDK alone
//
// The library is linked into the program, so loading it is a part of starting the process: see the times of the whole processes.
import Foundation
import Postern

/// How many fresh processes.
private let rounds = 31

@main
enum Startup {
    static func main() async throws {
        switch CommandLine.arguments.dropFirst().first {
        case "once": try await once()
        case "nothing": print("0 0 0")
        default: try compare()
        }
    }

    /// Build, read, end; a vault of files, as it is on a machine without a Keychain.
    private static func once() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("postern-startup")
        // The generator of P-256: a point is all that the configuration is checked for.
        let root = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
        guard let accountCenter = URL(string: "https://login.bank.example") else { return }
        var config = PosternConfig(accountCenter: accountCenter, appID: "bank-ios", rootKey: root)
        config.dataDirectory = folder.appendingPathComponent("app")
        let start = DispatchTime.now().uptimeNanoseconds
        let postern = try Postern(config, vault: .encryptedFile(folder: folder.appendingPathComponent("vault")))
        let built = DispatchTime.now().uptimeNanoseconds
        _ = try await postern.session.status()
        let read = DispatchTime.now().uptimeNanoseconds
        print(microseconds(built - start), microseconds(read - built), microseconds(read - start))
        postern.shutdown()
    }

    private static func compare() throws {
        var columns: [[Int]] = [[], [], [], [], []]
        for _ in 0..<rounds {
            let (numbers, whole) = try numbers(of: "once")
            let (_, idle) = try self.numbers(of: "nothing")
            for (index, number) in (numbers + [whole, idle]).enumerated() { columns[index].append(number) }
        }
        let names = ["build", "read the session", "both", "whole process", "whole process that leaves the SDK alone"]
        for (name, column) in zip(names, columns) {
            let sorted = column.sorted()
            print("\(name): median \(sorted[rounds / 2]) us, least \(sorted[0]), greatest \(sorted[rounds - 1]) (\(rounds) processes)")
        }
    }

    /// What a fresh process says, and how long it lives.
    private static func numbers(of word: String) throws -> ([Int], whole: Int) {
        let start = DispatchTime.now().uptimeNanoseconds
        let numbers = try output(of: [word]).split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 3 else { throw CocoaError(.fileReadCorruptFile) }
        return (numbers, Int(microseconds(DispatchTime.now().uptimeNanoseconds - start)))
    }

    private static func output(of arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let data = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func microseconds(_ nanoseconds: UInt64) -> UInt64 { nanoseconds / 1_000 }
}
