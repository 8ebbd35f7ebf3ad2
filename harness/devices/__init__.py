"""One running board, whatever it is made of: debug, serial ports, power, capabilities."""
