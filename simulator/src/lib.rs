//! Plays the outside world over HTTP: providers, SMS inbox, core bank, face service, the network between.
