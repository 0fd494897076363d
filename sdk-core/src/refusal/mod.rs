//! What a refusal was, and when one may ask again (W8, M1, M4).
