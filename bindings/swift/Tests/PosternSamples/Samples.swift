import Postern
