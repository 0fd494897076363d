/// Prints what is harmless and nothing else: in an interpolation, in a debugger, in `dump` and in a crash report.
///
/// A type conforms to it by its `description`. Whatever looks inside by reflection finds nothing.
public protocol Redacted: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {}

extension Redacted {
    /// The same as `description`.
    public var debugDescription: String { description }

    /// A mirror that shows nothing.
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection()) }
}
