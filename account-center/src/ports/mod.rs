//! What the bank has already, as traits with an HTTP connector each: customers, face recognition, SMS.
