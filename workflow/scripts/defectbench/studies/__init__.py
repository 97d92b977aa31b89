"""What if there are fewer images, bad ones among them, another light, or another product?"""
