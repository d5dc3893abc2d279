"""What a farm is: plain, frozen values that the guest list is turned into and everything else is made from.

All sizes are bytes as int.
"""
