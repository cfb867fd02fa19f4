package transcode

import ("testing";"image";"image/color";"image/draw";"image/png";"os";"strings";"time";"fmt"
xd "golang.org/x/image/draw")

func TestZZLook(t *testing.T) {
	ty, err := newTypist(); if err != nil { t.Fatal(err) }
	names := []string{"Ada","Élodie Çelik","Grażyna","Hiroshi 宏","שלום","مرحبا بالعالم","Иван","👩‍💻 dev",strings.Repeat("Wolfeschlegelstein ",530),"Ada שלום 12 xyz","Nguyễn Thị Hồng","😀 smile","Z̷̢̛͎̲̾̈́̓̾̓a̸l̶g̴o̷", "नमस्ते","Avi אבי 2 xyz (ג)"}
	var y int
	sheet := image.NewRGBA(image.Rect(0,0,1500,len(names)*160))
	for i := range sheet.Pix { sheet.Pix[i]=255 }
	for yy:=0;yy<sheet.Rect.Dy();yy++{ for x:=0;x<1500;x++{ sheet.SetRGBA(x,yy,color.RGBA{uint8(90+x/12),140,uint8(100+ yy%120),255}) } }
	for _, n := range names {
		x := 4
		for _, h := range []int{12,24,48} {
			s := time.Now()
			im := ty.label(n, 240, h)
			d := time.Since(s)
			if im == nil { fmt.Println("nil", n[:min(20,len(n))], h); continue }
			fmt.Printf("%.20q h%d %v %v\n", n, h, im.Rect, d)
			z := 3; if h==12 {z=4}; if h==48 {z=3}
			if h==48 {z=2}
			r := image.Rect(x,y,x+im.Rect.Dx()*z,y+h*z)
			xd.NearestNeighbor.Scale(sheet, r, im, im.Rect, draw.Over, nil)
			x += []int{0,0}[0]+ 500
		}
		y += 106
	}
	save("/tmp/look/labels.png", sheet.SubImage(image.Rect(0,0,1500,y)))
	s2 := image.NewRGBA(image.Rect(0,0,1400,900))
	draw.Draw(s2,s2.Rect,image.White,image.Point{},draw.Src)
	put := func(x,y,z int, im *image.RGBA){ xd.NearestNeighbor.Scale(s2,image.Rect(x,y,x+im.Rect.Dx()*z,y+im.Rect.Dy()*z),im,im.Rect,draw.Over,nil)}
	put(0,0,1,ty.avatar(320,180,"AL","#28506e")); put(330,0,1,ty.avatar(320,180,"宏","#6e2850")); put(660,0,1,ty.avatar(180,320,"ÉB","#2f6e28")); put(850,0,1,ty.avatar(320,180,"","#28506e")); put(1180,0,2,ty.avatar(64,36,"WM","#6e5028")); put(1180,80,4,ty.avatar(16,16,"A","#28506e"))
	put(1180,150,1,ty.avatar(200,20,"IB","#28506e"));put(1180,180,1,ty.avatar(40,140,"👩‍💻","#28506e"))
	put(0,330,1,ty.overflow(320,180,12)); put(330,330,1,ty.overflow(160,90,3)); put(500,330,1,ty.overflow(60,200,1234)); put(580,330,4,ty.overflow(64,36,7))
	draw.Draw(s2,image.Rect(0,520,1400,900),image.NewUniform(color.RGBA{140,160,120,255}),image.Point{},draw.Src)
	x := 0; for _,h := range []int{8,12,16,24,48} { put(x,530,6,ty.micMuted(h)); x+= h*6+10 }
	put(700,530,1,ty.micMuted(24)); put(700,560,1,ty.micMuted(12))
	put(760,530,1,ty.label("Élodie Çelik",300,24));put(760,560,1,ty.label("Élodie Çelik",300,12)); put(760,580,1,ty.label("שלום Ada",300,24))
	save("/tmp/look/icons.png", s2)
}
func save(p string, im image.Image){ os.MkdirAll("/tmp/look",0o755); f,_:=os.Create(p); png.Encode(f,im); f.Close() }
