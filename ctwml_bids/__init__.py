"""White matter lesions measured on head CT: a BIDS App (Pitkänen et al. 2020)."""

__version__ = "0.2.0"
