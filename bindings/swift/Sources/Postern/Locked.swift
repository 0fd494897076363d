import Foundation

/// A value behind a lock. No code of the app is ever called while it is held.
final class Locked<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var value: Value

    init(_ value: Value) {
        self.value = value
    }

    func withLock<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body(&value)
    }
}

/// An object of the library that is let go when the SDK is shut down, although the app may hold the facade for longer.
final class Lease<Object: Sendable>: Sendable {
    private let object: Locked<Object?>

    init(_ object: Object) {
        self.object = Locked(object)
    }

    /// The object; nothing after `end`.
    var held: Object? { object.withLock { $0 } }

    /// Lets the object go; its end may run code of the app, so no lock is held meanwhile.
    func end() {
        let last = object.withLock { object in
            defer { object = nil }
            return object
        }
        withExtendedLifetime(last) {}
    }
}
