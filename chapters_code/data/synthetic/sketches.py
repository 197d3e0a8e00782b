"""How each of the twenty VOC classes is drawn: a few lines of text per class, which `things` turns into pixels.

A sketch is a list of shapes, painted one over the other on paper about 100 units wide, x to the right and y down:

    tall 15                     real height in decimetres: a bottle beside a bus stays small
    ink NAME TEXTURE COLOURS    an ink, what it is made of, and the colours of which one is chosen
    area INK x,y x,y ...        a filled polygon
    disc INK rx,ry x,y ...      filled ellipses of the same radii
    ring INK rx,ry WIDTH x,y .. ellipses with a hole
    line INK WIDTH x,y x,y ...  strokes from point to point

A semicolon begins another ink, or another polygon or stroke in the same ink.  The mask of a thing is the union of its
shapes, with its holes: through a wheel one sees the road.
"""

__all__ = ["COLOURS", "SKETCHES", "Colour"]

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "amber": (150, 88, 30), "black": (34, 34, 38), "blue": (44, 84, 176), "brown": (112, 72, 44),
    "cream": (236, 222, 188), "ginger": (206, 124, 56), "gold": (228, 178, 48), "green": (44, 128, 72),
    "grey": (128, 130, 134), "lime": (128, 176, 56), "navy": (34, 48, 96), "olive": (96, 112, 52),
    "orange": (236, 128, 36), "pink": (236, 150, 160), "purple": (128, 72, 148), "red": (200, 44, 44),
    "sand": (216, 180, 140), "silver": (188, 192, 198), "sky": (150, 190, 222), "tan": (178, 120, 84),
    "teal": (36, 136, 148), "terracotta": (186, 96, 62), "white": (240, 240, 236), "wood": (160, 108, 60),
    "yellow": (240, 206, 60),
}  # fmt: skip

SKETCHES = {
    "aeroplane": """tall 60
        ink hull metal white silver sky cream; trim plain red blue green orange navy; wing metal grey silver
        ink dark plain black
        area wing 64,44 50,20 41,20 48,44
        area trim 6,48 2,14 16,14 34,44
        area hull 4,47 16,41 94,37 110,42 118,50 110,57 92,61 34,61 14,54
        area dark 102,43 109,46 111,49 101,49
        disc dark 2,2 38,47 45,47 52,47 59,47 66,47 73,47 80,47 87,47
        line trim 3 20,54 100,54
        area trim 14,49 0,60 9,61 32,52
        area wing 74,53 40,84 28,84 48,53
        disc dark 6,4 54,76""",
    "bicycle": """tall 10
        ink tyre plain black; frame plain red blue green yellow orange purple teal white
        ink leather plain brown black; steel metal silver
        ring tyre 25,25 5 26,75 104,75
        ring steel 20,20 1 26,75 104,75
        disc steel 4,4 26,75 104,75
        line steel 1 26,55 26,95; 6,75 46,75; 104,55 104,95; 84,75 124,75
        line frame 5 26,75 50,42 88,42; 49,38 62,76 26,75; 62,76 90,42; 86,30 104,75
        line steel 4 84,30 100,26 104,34
        line leather 6 40,34 58,34
        ring steel 9,9 3 62,76
        line leather 4 62,76 68,88; 63,90 74,88""",
    "bird": """tall 3
        ink back fur brown blue red grey teal black gold; wing stripes brown navy grey olive
        ink belly plain cream white orange sand; beak plain orange gold; eye plain black
        line beak 4 46,68 45,88 54,88; 56,66 56,86 66,86
        area wing 0,68 4,76 36,62 32,46
        disc back 27,19 47,52
        disc back 15,14 74,32
        area back 60,30 44,44 66,62 84,42
        disc belly 16,12 58,60
        area wing 22,44 44,38 60,52 42,64 8,68
        area beak 87,28 103,35 86,39
        disc eye 3,3 79,30""",
    "boat": """tall 40
        ink hull wood brown red navy white teal; sail cloth white cream orange red; mast wood wood
        ink trim plain white gold; flag plain red blue green
        line mast 3 50,2 50,72
        area sail 53,8 66,20 92,60 53,63; 47,14 30,38 14,60 47,63
        line trim 2 54,40 80,44
        area flag 50,0 36,4 50,9
        area hull 2,66 102,66 96,78 86,88 18,88 8,78
        line trim 3 6,71 98,71
        disc trim 3,3 34,80 50,80 66,80""",
    "bottle": """tall 3
        ink glass glass green amber teal blue red; label plain cream white yellow; mark plain red blue green black
        ink cap metal red gold black silver; shine plain white
        area glass 44,6 56,6 57,30 64,38 68,48 68,98 65,102 35,102 32,98 32,48 36,38 43,30
        area cap 42,0 58,0 58,10 42,10
        area label 32,56 68,56 68,86 32,86
        disc mark 9,9 50,71
        line mark 2 34,60 66,60; 34,82 66,82
        line shine 3 38,46 38,53
        line shine 2 47,14 46,28""",
    "bus": """tall 32
        ink body metal red yellow blue green orange white; band plain white navy gold; glass glass sky teal
        ink dark plain black; lamp plain yellow
        area body 0,20 4,10 12,6 148,6 156,14 158,40 158,82 0,82
        area band 0,56 158,56 158,64 0,64
        area glass 8,18 28,18 28,44 8,44; 33,18 53,18 53,44 33,44; 58,18 78,18 78,44 58,44
        area glass 83,18 103,18 103,44 83,44
        area dark 108,16 130,16 130,78 108,78
        area glass 110,18 118,18 118,76 110,76; 120,18 128,18 128,76 120,76; 136,16 153,18 155,48 136,48
        area dark 60,0 100,0 100,7 60,7
        disc dark 13,13 28,82 92,82
        disc band 5,5 28,82 92,82
        disc lamp 4,3 153,72""",
    "car": """tall 15
        ink body metal red blue silver green yellow white teal purple; glass glass sky grey; dark plain black
        ink hub metal silver; lamp plain yellow; tail plain red
        area body 0,62 2,46 24,40 42,18 52,14 84,14 94,18 112,40 132,46 138,54 138,70 0,70
        area glass 32,39 45,21 52,18 63,18 63,39; 68,18 83,18 91,21 104,39 68,39
        line dark 1 65,42 65,66; 4,60 134,60
        line hub 3 70,46 77,46
        disc dark 14,14 30,70 108,70
        disc hub 7,7 30,70 108,70
        disc lamp 4,3 132,51
        disc tail 2,4 3,50""",
    "cat": """tall 3
        ink coat tabby ginger grey brown sand black; light fur cream white; eye plain lime gold; dark plain black
        ink nose plain pink
        line coat 9 70,98 94,96 102,80 96,62 100,54
        disc coat 26,33 50,74
        disc coat 13,14 28,92 72,92
        disc light 12,18 50,76
        line coat 10 42,76 42,100; 58,76 58,100
        disc light 8,5 40,103 60,103
        area coat 27,30 25,0 48,14; 73,30 75,0 52,14
        area nose 31,20 29,8 40,15; 69,20 71,8 60,15
        disc coat 26,21 50,32
        disc light 11,7 50,43
        disc eye 6,5 40,29 60,29
        disc dark 2,5 40,29 60,29
        area nose 46,37 54,37 50,42
        line dark 1 46,46 50,43 54,46; 38,42 22,39; 38,45 22,47; 62,42 78,39; 62,45 78,47""",
    "chair": """tall 9
        ink frame wood wood brown cream black terracotta; seat cloth red green blue gold purple
        line frame 6 24,2 22,60 20,92; 70,0 68,54 68,84
        line frame 7 24,8 70,6
        line frame 6 24,24 70,21; 23,40 69,36; 37,72 36,108; 88,66 90,98
        line frame 3 36,92 21,80; 37,96 90,88
        area frame 18,58 68,51 93,65 36,76
        area seat 22,57 67,50 88,63 37,71""",
    "cow": """tall 15
        ink hide patches white cream tan; dark plain black brown; horn plain cream; pink plain pink
        ink bell metal gold
        line dark 3 13,36 4,50 7,70
        disc dark 4,7 7,76
        line hide 9 40,62 40,98; 84,62 84,98
        line dark 9 40,96 40,101; 84,96 84,101
        disc pink 10,7 44,69
        area hide 10,38 18,29 60,31 92,26 112,24 116,40 104,60 92,68 26,68 12,60
        line hide 10 22,60 24,102; 97,58 99,102
        line dark 10 24,100 24,106; 99,100 99,106
        area horn 112,15 106,2 117,11; 124,12 130,0 130,13
        area hide 100,34 110,14 122,10 134,16 146,36 144,46 132,48 118,42
        area dark 112,18 97,14 104,25
        disc pink 9,8 141,42
        disc dark 2,2 126,23 144,40
        line dark 2 104,46 116,52
        disc bell 4,5 112,56""",
    "diningtable": """tall 8
        ink wood wood wood brown cream terracotta; cloth checks red blue green gold; china plain white
        ink food plain orange lime red; drink glass teal amber
        line wood 6 40,30 40,76; 112,30 112,76
        area wood 0,38 26,16 128,16 154,38 154,46 0,46
        area cloth 22,38 42,17 114,17 134,38 134,58 118,52 100,60 78,52 56,60 38,52 22,58
        disc china 13,4 52,29 104,29
        disc food 7,2 52,28 104,28
        area china 68,12 90,12 85,25 73,25
        disc food 5,5 74,9 84,9 79,6
        area drink 118,8 126,8 125,22 119,22
        line wood 8 9,46 9,96; 145,46 145,96""",
    "dog": """tall 6
        ink coat fur tan ginger cream brown white; ear fur brown black; dark plain black; tongue plain pink
        ink collar plain red blue green
        line coat 7 18,46 7,36 6,22 14,16
        line coat 8 38,62 34,78 38,98; 78,62 78,98
        area coat 14,48 24,40 52,42 78,34 92,46 90,62 76,72 50,66 26,70 16,62
        line coat 10 24,60 18,78 24,102; 86,58 86,102
        disc coat 7,4 28,103 90,103 42,99 82,99
        area coat 74,44 82,18 104,20 96,54
        disc coat 16,14 94,22
        area coat 98,14 122,22 124,32 118,37 98,35
        area tongue 108,35 118,35 117,45 112,48 108,44
        disc dark 5,4 121,23
        disc dark 3,3 100,17
        area ear 80,10 90,9 94,22 90,42 80,44 76,30
        line collar 5 78,44 94,50""",
    "horse": """tall 17
        ink coat fur brown tan black white terracotta; mane fur black cream amber; hoof plain black
        ink saddle cloth red green blue; light plain white
        area mane 22,40 10,46 0,70 2,94 12,88 14,64 26,52
        line coat 8 42,60 38,84 42,112; 90,58 94,84 90,112
        area coat 18,44 28,34 56,37 88,32 104,38 106,56 92,68 60,66 34,70 20,62
        line coat 9 28,60 24,84 26,116; 98,56 101,84 100,116
        line hoof 9 26,114 26,119; 100,114 100,119
        line hoof 8 42,110 42,114; 90,110 90,114
        area mane 84,36 92,14 104,2 114,2 108,14 96,42
        area coat 88,40 104,8 118,4 124,12 106,58; 106,6 118,2 126,8 144,32 142,40 134,42 112,24
        area coat 110,8 110,-6 118,3
        disc hoof 2,2 122,13 141,34
        line light 4 127,14 134,24
        area saddle 52,35 74,33 76,52 66,56 52,52""",
    "motorbike": """tall 11
        ink tyre plain black; tank metal red blue green orange yellow white; steel metal silver
        ink seat plain black brown; lamp plain yellow
        ring tyre 22,22 8 24,78 114,78
        ring steel 14,14 2 24,78 114,78
        disc steel 5,5 24,78 114,78
        line steel 2 24,64 24,92; 12,78 36,78; 114,64 114,92; 102,78 126,78
        line steel 6 24,78 60,78
        line steel 5 88,32 114,78
        area tank 6,54 34,48 40,56 26,60
        line tank 4 98,56 112,52 126,58
        area steel 48,56 84,54 86,76 78,86 54,86 46,74
        line seat 2 52,62 82,60; 51,68 83,66; 52,74 82,72
        line tank 5 88,40 82,80
        area seat 14,46 24,40 54,42 58,52 40,58 18,54
        area tank 52,44 66,34 86,36 92,46 80,54 56,54
        line seat 4 90,34 78,24 70,26
        disc lamp 5,7 97,40
        line steel 7 64,86 30,92 4,88""",
    "person": """tall 17
        ink skin plain sand tan brown cream; shirt cloth red blue green yellow white purple orange teal
        ink trousers cloth navy black grey brown olive; hair fur black brown amber gold grey
        ink shoe plain black white red; dark plain black
        line trousers 13 43,70 41,92 41,114; 57,70 60,92 60,114
        area shoe 34,112 47,112 47,120 30,120; 54,112 67,112 71,120 54,120
        line skin 7 26,58 24,72 28,78; 75,58 77,72 73,78
        line shirt 10 37,38 28,48 26,60; 63,38 72,48 75,60
        area skin 45,22 55,22 57,38 43,38
        area shirt 34,34 44,31 50,35 56,31 66,34 66,74 34,74
        area trousers 35,71 65,71 65,78 35,78
        disc hair 12,13 50,14
        disc skin 10,12 50,17
        area hair 39,14 41,3 50,0 59,3 61,14 54,9 44,9
        disc dark 1,1 46,16 54,16
        line dark 1 46,22 50,24 54,22""",
    "pottedplant": """tall 6
        ink leaf leaf green lime olive teal; shade leaf green olive; pot plain terracotta white blue brown gold
        ink rim plain terracotta cream navy; flower plain pink red yellow purple white
        area shade 50,64 36,36 26,-2 46,30; 50,64 62,34 76,-4 56,30; 50,66 18,56 -4,62 20,44
        area shade 50,66 82,56 104,62 80,44
        area leaf 50,66 20,40 6,14 36,30; 50,66 80,40 94,14 64,30; 50,66 42,26 50,-12 58,26
        area leaf 50,68 28,58 8,36 38,44; 50,68 72,58 92,36 62,44
        disc flower 6,6 24,26 78,24 50,22
        disc flower 5,5 12,50 88,48 62,46
        area pot 28,68 72,68 66,102 34,102
        area rim 25,62 75,62 75,72 25,72""",
    "sheep": """tall 8
        ink wool wool white cream sand; face plain black brown grey; eye plain white
        line face 7 34,66 34,96; 44,66 44,92; 72,66 72,92; 82,64 82,96
        disc wool 32,22 56,48
        disc wool 13,12 26,40 42,29 60,26 78,32 88,46 80,60 62,68 44,68 28,58
        disc wool 7,7 14,48
        disc face 12,15 100,38
        area face 92,30 78,28 86,38; 106,28 118,24 114,35
        disc wool 11,8 99,25
        disc eye 3,3 96,34 105,34
        disc face 1,1 97,35 106,35""",
    "sofa": """tall 9
        ink back cloth red green blue brown grey purple teal; seat cloth red green blue brown grey purple teal
        ink cushion stripes yellow cream orange pink; leg wood brown black
        line leg 6 14,78 14,90; 136,78 136,90
        area back 14,30 18,12 26,6 124,6 132,12 136,30 136,70 14,70
        line leg 1 75,10 75,46
        area seat 16,46 74,46 74,62 16,62; 76,46 134,46 134,62 76,62
        area back 10,62 140,62 140,80 10,80; 0,40 4,32 18,32 22,40 22,82 0,82
        area back 150,40 146,32 132,32 128,40 128,82 150,82
        area cushion 26,28 48,22 54,44 31,48; 124,28 102,22 96,44 119,48""",
    "train": """tall 40
        ink boiler metal green navy black red; cab plain red green gold blue; wheel plain red black
        ink steel metal silver; dark plain black; brass metal gold; glass glass sky
        area boiler 40,34 132,34 138,42 138,62 132,70 40,70
        area dark 120,36 140,36 142,44 142,60 140,68 120,68
        line brass 3 60,34 60,69; 84,34 84,69; 108,34 108,69
        area dark 116,12 134,12 129,34 121,34
        line brass 4 114,12 136,12
        disc brass 8,9 94,31
        disc brass 6,7 74,31
        area boiler 50,31 98,31 98,36 50,36
        area cab 4,14 48,14 48,74 4,74
        area glass 12,24 24,24 24,42 12,42; 29,24 41,24 41,42 29,42
        area dark 0,8 52,8 52,15 0,15; 2,70 140,70 140,80 2,80
        disc wheel 15,15 22,86 56,86 90,86
        disc wheel 9,9 120,92
        disc steel 4,4 22,86 56,86 90,86 120,92
        line steel 4 22,88 92,88
        area cab 134,76 158,100 128,100
        disc brass 5,5 140,40""",
    "tvmonitor": """tall 6
        ink case plain black grey silver; screen screen blue teal purple sky; hill screen lime green
        ink sun plain yellow orange; stand metal silver grey; light plain lime
        area stand 52,78 76,78 80,94 48,94; 30,92 98,92 104,100 24,100
        area case 0,2 4,0 124,0 128,2 128,80 124,82 4,82 0,80
        area screen 8,8 120,8 120,72 8,72
        area hill 8,54 36,36 62,54 88,32 120,52 120,72 8,72
        disc sun 9,9 98,22
        disc light 2,2 64,77""",
}
